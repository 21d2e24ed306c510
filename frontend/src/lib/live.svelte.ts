/** What the page knows now: the last readings, the stream, health and events. */

import * as api from "./api.ts";
import { seconds } from "./format.ts";
import { LiveStream, type Socket } from "./stream.ts";
import type { Health, PlantEvent, Reading, StreamMessage } from "./types.ts";

const MOST_EVENTS = 200;
const HEALTH_EVERY_MS = 5000;

type Hear = (readings: readonly Reading[]) => void;

class Live {
  /** Grows with each batch that reached the screen; read it to be redrawn. */
  version = $state(0);
  connected = $state(false);
  /** When the stream was lost (ms since 1970), null before the first and while live. */
  lostAt: number | null = $state(null);
  /** Seconds since 1970 by the server's clock, renewed each second. */
  nowS = $state(Date.now() / 1000);
  health: Health | null = $state.raw(null);
  /** Why the server did not tell its health. */
  silent: string | null = $state(null);
  events: PlantEvent[] = $state.raw([]);
  /** Grows with each change of the configuration: there may be other points. */
  plant = $state(0);
  /** Grows when readings may have been missed: the trend asks for its history. */
  misses = $state(0);

  private readonly last = new Map<string, Reading>();
  private readonly listeners = new Set<Hear>();
  private batch: Reading[] = [];
  private drawn = false;
  private skewS = 0;
  private readonly wanted = new Map<string, readonly string[]>();
  private asking = 0;
  private readonly stream = new LiveStream(
    {
      open: (patterns, resume) =>
        new WebSocket(api.liveAddress(location.origin, patterns, resume)) as Socket,
      after: (ms, act) => {
        const timer = setTimeout(act, ms);
        return () => clearTimeout(timer);
      },
      now: () => Date.now(),
      random: () => Math.random(),
    },
    {
      message: (message) => this.take(message),
      state: (live, since) => {
        this.connected = live;
        this.lostAt = since;
      },
      missed: () => (this.misses += 1),
    },
  );

  /** The last reading of a point, if one was heard since it came on the screen. */
  reading(name: string): Reading | undefined {
    return this.last.get(name);
  }

  /** Begin to live; the answer ends it. */
  start(): () => void {
    const tick = setInterval(() => (this.nowS = this.serverNow()), 1000);
    const ask = setInterval(() => void this.askHealth(), HEALTH_EVERY_MS);
    const wake = () => this.stream.retry();
    addEventListener("online", wake);
    document.addEventListener("visibilitychange", wake);
    void this.askHealth();
    void this.askEvents();
    return () => {
      clearInterval(tick);
      clearInterval(ask);
      removeEventListener("online", wake);
      document.removeEventListener("visibilitychange", wake);
      this.stream.close();
    };
  }

  serverNow(): number {
    return Date.now() / 1000 + this.skewS;
  }

  /** Say what one part of the page shows; all parts share the one stream. */
  want(part: string, patterns: readonly string[]): void {
    this.wanted.set(part, patterns);
    clearTimeout(this.asking);
    // Scrolling changes what is on the screen many times a second.
    this.asking = window.setTimeout(() => {
      const all = [...new Set([...this.wanted.values()].flat())].sort();
      if (all.length) this.stream.listen(all);
    }, 80);
  }

  /** Hear every reading, in order; the answer ends it. */
  hear(listener: Hear): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async askHealth(): Promise<void> {
    try {
      this.setHealth(await api.health());
      this.silent = null;
    } catch (error) {
      this.silent = String(error instanceof Error ? error.message : error);
    }
  }

  async askEvents(): Promise<void> {
    try {
      this.events = await api.events(100);
    } catch {
      this.events = [];
    }
  }

  private setHealth(health: Health): void {
    this.health = health;
    this.skewS = seconds(health.time) - Date.now() / 1000;
  }

  private take(message: StreamMessage): void {
    switch (message.kind) {
      case "snapshot":
      case "readings":
        this.batch.push(...message.readings);
        this.draw();
        break;
      case "event":
        this.events = [message.event, ...this.events].slice(0, MOST_EVENTS);
        if (message.event.kind === "configuration.reloaded") this.plant += 1;
        break;
      case "health":
        this.setHealth(message.health);
        break;
      case "gap":
        break;
    }
  }

  /** Hand over what has come, once per refresh of the screen. */
  private draw(): void {
    if (this.drawn) return;
    this.drawn = true;
    const act = () => {
      this.drawn = false;
      const batch = this.batch;
      this.batch = [];
      for (const reading of batch) this.last.set(reading.name, reading);
      for (const listener of this.listeners) listener(batch);
      this.version += 1;
    };
    // A hidden page gets no frames, yet must not let its batch grow.
    if (document.hidden) setTimeout(act, 1000);
    else requestAnimationFrame(act);
  }
}

export const live = new Live();
