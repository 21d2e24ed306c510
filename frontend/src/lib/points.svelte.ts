/** The points of a place or a search, fetched page by page as they are looked at. */

import * as api from "./api.ts";
import type { Point } from "./types.ts";

const PAGE = 500;

export type Query = { pattern: string } | { search: string };

/** Every point that was seen, for what only its list knows: type, period, unit. */
export const known = new Map<string, Point>();

export class PointList {
  total = $state(0);
  loading = $state(true);
  failure: string | null = $state(null);
  version = $state(0);
  readonly query: Query;
  private readonly pages = new Map<number, Point[]>();
  private readonly asked = new Set<number>();
  private readonly abort = new AbortController();

  constructor(query: Query) {
    this.query = query;
    void this.load(0);
  }

  at(row: number): Point | undefined {
    return this.pages.get(Math.floor(row / PAGE))?.[row % PAGE];
  }

  /** Fetch what is missing of these rows. */
  need(first: number, end: number): void {
    for (let page = Math.floor(first / PAGE); page * PAGE < end; page++)
      if (!this.asked.has(page)) void this.load(page);
  }

  again(): void {
    this.asked.clear();
    void this.load(0);
  }

  close(): void {
    this.abort.abort();
  }

  private async load(page: number): Promise<void> {
    this.asked.add(page);
    const signal = this.abort.signal;
    try {
      const answer = await api.points(this.query, page * PAGE, PAGE, signal);
      for (const point of answer.points) known.set(point.name, point);
      this.pages.set(page, answer.points);
      this.total = answer.total;
      this.failure = null;
    } catch (error) {
      if (signal.aborted) return;
      this.failure = error instanceof Error ? error.message : String(error);
    }
    this.loading = false;
    this.version += 1;
  }
}
