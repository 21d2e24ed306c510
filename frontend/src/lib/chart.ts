/** How a trend is drawn: the one file that knows uPlot. */

import uPlot from "uplot";

import type { Cell, Mark } from "./trend.ts";

export interface Line {
  name: string;
  unit: string;
  colour: string;
  /** Whether a value holds until the next, rather than moving towards it. */
  stepped: boolean;
  marks: readonly Mark[];
}

export interface Hands {
  /** Show this stretch (seconds since 1970). */
  show(fromS: number, toS: number): void;
  reset(): void;
  cursor(atS: number | null): void;
}

export interface Look {
  text: string;
  grid: string;
  bad: string;
  uncertain: string;
  font: string;
  language: string;
}

export const COLOURS = 8;

/** The look of the page at this moment, from its custom properties. */
export function lookOf(element: Element, language: string): Look {
  const style = getComputedStyle(element);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    text: read("--dim"),
    grid: read("--line"),
    bad: read("--bad"),
    uncertain: read("--uncertain"),
    font: `12px ${style.fontFamily}`,
    language,
  };
}

/** The colour of the n-th line. */
export const colourOf = (element: Element, n: number): string =>
  getComputedStyle(element)
    .getPropertyValue(`--trend-${(n % COLOURS) + 1}`)
    .trim();

export class Chart {
  private readonly plot: uPlot;
  private readonly hands: Hands;
  private lines: readonly Line[];
  private pan: { x: number; from: number; to: number } | null = null;

  constructor(box: HTMLElement, lines: readonly Line[], look: Look, hands: Hands) {
    this.hands = hands;
    this.lines = lines;
    this.plot = new uPlot(this.options(box, look), [[], ...lines.flatMap(() => [[], [], []])], box);
    this.listen();
  }

  set(
    data: [number[], ...Cell[][]],
    lines: readonly Line[],
    fromS: number,
    toS: number,
  ): void {
    this.lines = lines;
    this.plot.batch(() => {
      this.plot.setData(data as uPlot.AlignedData, false);
      this.plot.setScale("x", { min: fromS, max: toS });
    });
  }

  resize(width: number, height: number): void {
    if (width > 0 && height > 0) this.plot.setSize({ width, height });
  }

  close(): void {
    this.plot.destroy();
  }

  private options(box: HTMLElement, look: Look): uPlot.Options {
    const units = [...new Set(this.lines.map((line) => line.unit))];
    const scales: Record<string, uPlot.Scale> = { x: { time: true } };
    for (const unit of units) scales["y" + unit] = { auto: true, range: withRoom };
    return {
      width: box.clientWidth || 400,
      height: box.clientHeight || 240,
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
      scales,
      axes: [this.timeAxis(look), ...units.map((unit, i) => this.valueAxis(unit, i, look))],
      series: [{}, ...this.lines.flatMap((line) => series(line))],
      bands: this.lines.map((line, i) => ({
        series: [3 * i + 3, 3 * i + 1] as [number, number],
        fill: withAlpha(line.colour, 0.22),
      })),
      hooks: {
        drawClear: [(plot) => this.drawMarks(plot, look)],
        setSelect: [
          (plot) => {
            const { left, width } = plot.select;
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            if (width < 4) return;
            this.hands.show(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
          },
        ],
        setCursor: [
          (plot) => {
            const { left } = plot.cursor;
            this.hands.cursor(left === undefined || left < 0 ? null : plot.posToVal(left, "x"));
          },
        ],
      },
    };
  }

  private timeAxis(look: Look): uPlot.Axis {
    return {
      stroke: look.text,
      font: look.font,
      grid: { stroke: look.grid, width: 1 },
      ticks: { stroke: look.grid },
      space: 80,
      values: (_plot, splits, _axis, _space, step) => moments(splits, step, look.language),
    };
  }

  private valueAxis(unit: string, i: number, look: Look): uPlot.Axis {
    return {
      scale: "y" + unit,
      side: i % 2 === 0 ? 3 : 1,
      stroke: look.text,
      font: look.font,
      size: 58,
      label: unit || " ",
      labelFont: look.font,
      labelSize: 18,
      grid: { show: i === 0, stroke: look.grid, width: 1 },
      ticks: { stroke: look.grid },
    };
  }

  /** Shade what is bad, and give each line its own strip at the foot. */
  private drawMarks(plot: uPlot, look: Look): void {
    const { left, top, width, height } = plot.bbox;
    const strip = 4 * devicePixelRatio;
    const context = plot.ctx;
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    this.lines.forEach((line, i) => {
      for (const mark of line.marks) {
        const from = Math.max(left, plot.valToPos(mark.fromS, "x", true));
        const end = mark.toS === Infinity ? left + width : plot.valToPos(mark.toS, "x", true);
        const wide = Math.max(2, Math.min(left + width, end) - from);
        if (end < left || from > left + width) continue;
        const colour = mark.quality === "bad" ? look.bad : look.uncertain;
        context.fillStyle = withAlpha(colour, 0.1);
        context.fillRect(from, top, wide, height);
        context.fillStyle = colour;
        context.fillRect(from, top + height - strip * (i + 1), wide, strip - 1);
      }
    });
    context.restore();
  }

  private listen(): void {
    const over = this.plot.over;
    over.addEventListener("dblclick", () => this.hands.reset());
    over.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    // Before uPlot's own listener, which would begin a selection.
    over.parentElement?.addEventListener("mousedown", (event) => this.grab(event), true);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const { min, max } = this.plot.scales["x"]!;
    if (min == null || max == null) return;
    const span = max - min;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      const by = (span * (event.deltaX || event.deltaY)) / this.plot.over.clientWidth;
      this.hands.show(min + by, max + by);
      return;
    }
    const at = this.plot.posToVal(event.clientX - this.plot.over.getBoundingClientRect().left, "x");
    const by = event.deltaY > 0 ? 1.25 : 0.8;
    this.hands.show(at - (at - min) * by, at + (max - at) * by);
  }

  private grab(event: MouseEvent): void {
    if (!event.shiftKey && event.button !== 1) return;
    event.preventDefault();
    event.stopPropagation();
    const { min, max } = this.plot.scales["x"]!;
    this.pan = { x: event.clientX, from: min ?? 0, to: max ?? 0 };
    const move = (next: MouseEvent) => {
      if (!this.pan) return;
      const span = this.pan.to - this.pan.from;
      const by = ((this.pan.x - next.clientX) / this.plot.over.clientWidth) * span;
      this.hands.show(this.pan.from + by, this.pan.to + by);
    };
    const drop = () => {
      this.pan = null;
      removeEventListener("mousemove", move);
      removeEventListener("mouseup", drop);
    };
    addEventListener("mousemove", move);
    addEventListener("mouseup", drop);
  }
}

function series(line: Line): uPlot.Series[] {
  const scale = "y" + line.unit;
  const paths = line.stepped ? uPlot.paths.stepped!({ align: 1 }) : uPlot.paths.linear!();
  const edge: uPlot.Series = { scale, paths, width: 0, points: { show: false } };
  const mean: uPlot.Series = { scale, paths, stroke: line.colour, width: 1.6 };
  return [edge, mean, { ...edge }];
}

function withRoom(_plot: uPlot, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null) return [0, 1];
  const room = (max - min) * 0.08 || Math.max(Math.abs(max) * 0.05, 0.5);
  return [min - room, max + room];
}

function withAlpha(colour: string, alpha: number): string {
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

function moments(splits: number[], step: number, language: string): string[] {
  const clock: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hour12: false };
  if (step < 60) clock.second = "2-digit";
  const time = new Intl.DateTimeFormat(language, clock);
  const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
  let before = "";
  return splits.map((at) => {
    const moment = new Date(at * 1000);
    const date = day.format(moment);
    const first = date !== before;
    before = date;
    if (step >= 86_400) return date;
    return first ? `${time.format(moment)}\n${date}` : time.format(moment);
  });
}
