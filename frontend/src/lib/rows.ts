/** Which rows of a long list are on the screen. */

export interface Slice {
  first: number;
  /** One past the last. */
  end: number;
}

const SPARE = 6;

export function visible(
  scrollTop: number,
  height: number,
  rowHeight: number,
  total: number,
): Slice {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - SPARE);
  const end = Math.min(total, Math.ceil((scrollTop + height) / rowHeight) + SPARE);
  return { first: Math.min(first, end), end };
}

/** Where to scroll so that a row is wholly seen. */
export function reveal(
  row: number,
  scrollTop: number,
  height: number,
  rowHeight: number,
): number {
  const top = row * rowHeight;
  if (top < scrollTop) return top;
  if (top + rowHeight > scrollTop + height) return top + rowHeight - height;
  return scrollTop;
}
