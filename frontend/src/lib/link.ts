/** What the address of the page keeps: the place, the points, the window. */

export interface View {
  place: string;
  deep: boolean;
  points: string[];
  /** A live window of `spanS` seconds, or a fixed one. */
  window: { spanS: number } | { fromS: number; toS: number };
}

export const FIRST_VIEW: View = {
  place: "",
  deep: true,
  points: [],
  window: { spanS: 300 },
};

const MOST_POINTS = 12;

export function toHash(view: View): string {
  const search = new URLSearchParams();
  if (view.place) search.set("place", view.place);
  if (!view.deep) search.set("deep", "0");
  for (const name of view.points) search.append("point", name);
  if ("spanS" in view.window) {
    if (view.window.spanS !== 300) search.set("window", `${view.window.spanS}`);
  } else {
    search.set("from", new Date(view.window.fromS * 1000).toISOString());
    search.set("to", new Date(view.window.toS * 1000).toISOString());
  }
  return search.toString().replaceAll("%2F", "/");
}

/** The view that a hash means; what cannot be read is as on a first visit. */
export function fromHash(hash: string): View {
  const search = new URLSearchParams(hash.replace(/^#/, ""));
  const fromS = Date.parse(search.get("from") ?? "") / 1000;
  const toS = Date.parse(search.get("to") ?? "") / 1000;
  const spanS = Number(search.get("window") ?? 300);
  const live = { spanS: spanS > 0 && Number.isFinite(spanS) ? spanS : 300 };
  return {
    place: search.get("place") ?? "",
    deep: search.get("deep") !== "0",
    points: [...new Set(search.getAll("point"))].slice(0, MOST_POINTS),
    window: toS > fromS ? { fromS, toS } : live,
  };
}
