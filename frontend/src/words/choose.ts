/** Which language a visitor reads: the remembered one, or what the browser asks for. */

import { en, type Words } from "./en.ts";
import { ja } from "./ja.ts";
import { zh } from "./zh.ts";

export const languages = { en, ja, zh } satisfies Record<string, Words>;
export type Language = keyof typeof languages;

/** Each language in its own words. */
export const ownNames: Record<Language, string> = { en: "English", ja: "日本語", zh: "中文" };

const isLanguage = (text: string): text is Language => text in languages;

export function choose(remembered: string | null, wanted: readonly string[]): Language {
  for (const tag of remembered ? [remembered, ...wanted] : wanted) {
    const short = tag.toLowerCase().split("-")[0] ?? "";
    if (isLanguage(short)) return short;
  }
  return "en";
}
