/** Where the visitor is: kept in the address, so that a link leads here again. */

import { fromHash, toHash, type View } from "./link.ts";

class Looking {
  view: View = $state.raw(fromHash(location.hash));

  constructor() {
    addEventListener("hashchange", () => {
      if (toHash(this.view) !== location.hash.slice(1)) this.view = fromHash(location.hash);
    });
  }

  /** Change a part of the view; `step` makes the browser's Back lead here again. */
  go(part: Partial<View>, step: "step" | "quiet" = "quiet"): void {
    this.view = { ...this.view, ...part };
    const hash = "#" + toHash(this.view);
    if (step === "step") history.pushState(null, "", hash);
    else history.replaceState(null, "", hash);
  }

  toggle(name: string): void {
    const points = this.view.points;
    const without = points.filter((one) => one !== name);
    this.go({ points: without.length < points.length ? without : [...points, name] });
  }
}

export const looking = new Looking();
