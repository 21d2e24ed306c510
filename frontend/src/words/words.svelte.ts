/** The texts in the present language; components are redrawn when it changes. */

import { choose, languages, type Language } from "./choose.ts";

const KEY = "lineshaft.language";

class Speech {
  language: Language = $state(choose(localStorage.getItem(KEY), navigator.languages));
  readonly words = $derived(languages[this.language]);

  speak(language: Language): void {
    this.language = language;
    localStorage.setItem(KEY, language);
  }
}

export const speech = new Speech();
