/** Light or dark: as the system has it, until the visitor chooses. */

const KEY = "lineshaft.theme";

export type Theme = "light" | "dark";

class Appearance {
  theme: Theme = $state("light");

  constructor() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const kept = localStorage.getItem(KEY);
    const follow = () => this.put(dark.matches ? "dark" : "light");
    if (kept === "light" || kept === "dark") this.put(kept);
    else {
      follow();
      dark.addEventListener("change", () => {
        if (localStorage.getItem(KEY) === null) follow();
      });
    }
  }

  toggle(): void {
    this.put(this.theme === "dark" ? "light" : "dark");
    localStorage.setItem(KEY, this.theme);
  }

  private put(theme: Theme): void {
    this.theme = theme;
    document.documentElement.dataset["theme"] = theme;
  }
}

export const appearance = new Appearance();
