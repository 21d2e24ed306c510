/** The live stream: one WebSocket that resumes where it was cut off. */

import type { StreamMessage } from "./types.ts";

export interface Socket {
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onmessage: ((message: { data: string }) => void) | null;
}

export interface Surroundings {
  open(patterns: readonly string[], resume: string | null): Socket;
  after(ms: number, act: () => void): () => void;
  now(): number;
  random(): number;
}

export interface Listener {
  message(message: StreamMessage): void;
  /** `since` is when the stream was lost (ms), null while it is live. */
  state(live: boolean, since: number | null): void;
  /** Readings may be missing between the last one and the next snapshot. */
  missed(): void;
}

const FIRST_MS = 500;
const LONGEST_MS = 15_000;
/** A socket that does not open in this time is given up. */
const OPENS_WITHIN_MS = 10_000;
/** The plant says something every 10 s; a socket silent for this long is dead. */
const SILENT_AFTER_MS = 30_000;

/** How long to wait before the n-th try (from 0): doubling, with half of it luck. */
export function backOff(tries: number, random: number): number {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** tries);
  return most / 2 + (most / 2) * random;
}

export class LiveStream {
  private socket: Socket | null = null;
  private cancel: (() => void) | null = null;
  private cancelWatch: (() => void) | null = null;
  private patterns: readonly string[] = [];
  /** The patterns that `token` belongs to: those of the last snapshot. */
  private held: readonly string[] = [];
  private token: string | null = null;
  /** The patterns of each snapshot that is still to come, in order. */
  private due: (readonly string[])[] = [];
  private opened = false;
  private tries = 0;
  private lostAt: number | null = null;
  private readonly world: Surroundings;
  private readonly listener: Listener;

  constructor(world: Surroundings, listener: Listener) {
    this.world = world;
    this.listener = listener;
  }

  /** Listen to these patterns from now on; nothing happens when they are the same. */
  listen(patterns: readonly string[]): void {
    if (same(patterns, this.patterns)) return;
    this.patterns = [...patterns];
    if (this.opened) this.ask();
    else if (this.socket === null && this.cancel === null) this.connect();
  }

  close(): void {
    this.cancel?.();
    this.cancel = null;
    this.cancelWatch?.();
    this.cancelWatch = null;
    if (this.socket) {
      this.socket.onclose = null;
      this.socket.onmessage = null;
      this.socket.close();
    }
    this.socket = null;
  }

  /** Try at once, for example because the computer woke up. */
  retry(): void {
    if (this.cancel === null || this.socket !== null) return;
    this.cancel();
    this.connect();
  }

  private connect(): void {
    this.cancel = null;
    // A token fits only the patterns it was given for: take up those again, and
    // ask for the present ones afterwards, so that no reading is lost in between.
    const asked = this.token === null ? this.patterns : this.held;
    this.due = this.token === null ? [asked] : [];
    const socket = this.world.open(asked, this.token);
    this.socket = socket;
    const giveUp = this.world.after(OPENS_WITHIN_MS, () => this.drop());
    socket.onopen = () => {
      giveUp();
      this.opened = true;
      this.watch();
      if (!same(asked, this.patterns)) this.ask();
    };
    socket.onmessage = ({ data }) => this.hear(JSON.parse(data) as StreamMessage);
    socket.onclose = () => {
      giveUp();
      this.lost(socket);
    };
  }

  private ask(): void {
    this.due.push(this.patterns);
    this.socket?.send(JSON.stringify({ patterns: this.patterns }));
  }

  private drop(): void {
    const socket = this.socket;
    if (socket === null) return;
    socket.onclose = null;
    socket.onmessage = null;
    socket.onopen = null;
    socket.close();
    this.lost(socket);
  }

  private lost(socket: Socket): void {
    if (socket !== this.socket) return;
    this.cancelWatch?.();
    this.cancelWatch = null;
    this.socket = null;
    this.opened = false;
    this.lostAt ??= this.world.now();
    this.listener.state(false, this.lostAt);
    const wait = backOff(this.tries, this.world.random());
    this.tries += 1;
    this.cancel = this.world.after(wait, () => this.connect());
  }

  /** Give the socket up when nothing is heard for too long, not even by the system. */
  private watch(): void {
    this.cancelWatch?.();
    this.cancelWatch = this.world.after(SILENT_AFTER_MS, () => this.drop());
  }

  private hear(message: StreamMessage): void {
    this.watch();
    this.tries = 0;
    this.lostAt = null;
    this.listener.state(true, null);
    if ("token" in message) this.token = message.token;
    if (message.kind === "snapshot") this.held = this.due.shift() ?? this.held;
    if (message.kind === "gap") {
      this.due.unshift(this.held);
      this.listener.missed();
    }
    this.listener.message(message);
  }
}

const same = (one: readonly string[], other: readonly string[]) =>
  one.length === other.length && one.every((pattern, i) => pattern === other[i]);
