/** Who is logged in on this page, and everything that proves it. */

import * as api from "./api.ts";
import type { WhoAmI } from "./types.ts";

interface Options {
  options: string;
}

class Session {
  /** Null until the server has told it. */
  who: WhoAmI | null = $state.raw(null);
  /** Why the last attempt failed. */
  complaint = $state("");
  /** Whether the password was right and a code is wanted. */
  codeWanted = $state(false);
  busy = $state(false);

  readonly isIn = $derived((this.who?.subject ?? "") !== "" && this.who?.lacks === "");

  async ask(): Promise<void> {
    try {
      this.who = await api.whoAmI();
    } catch {
      // The header tells that the server is silent.
    }
  }

  /** Do something that may let somebody in or out; true if it went well. */
  async attempt(act: () => Promise<unknown>): Promise<boolean> {
    this.busy = true;
    this.complaint = "";
    try {
      await act();
      return true;
    } catch (error) {
      this.codeWanted = error instanceof api.Problem && error.code === "LS-4308";
      if (!this.codeWanted) this.complaint = error instanceof Error ? error.message : String(error);
      return false;
    } finally {
      await this.ask();
      this.busy = false;
    }
  }

  logIn(name: string, password: string, code: string): Promise<boolean> {
    return this.attempt(() => api.send("POST", "/session", { name, password, code }));
  }

  accept(code: string, name: string, password: string): Promise<boolean> {
    return this.attempt(() => api.send("POST", "/session/invited", { code, name, password }));
  }

  logOut(): Promise<boolean> {
    return this.attempt(() => api.send("DELETE", "/session"));
  }

  logInWithPasskey(): Promise<boolean> {
    return this.attempt(async () => {
      const asked = await api.send<Options>("POST", "/session/passkey/options", {});
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(asked.options));
      const found = await navigator.credentials.get({ publicKey });
      await api.send("POST", "/session/passkey", { answer: JSON.stringify(found) });
    });
  }

  addPasskey(label: string): Promise<boolean> {
    return this.attempt(async () => {
      const asked = await api.send<Options>("POST", "/session/passkeys/options", {});
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(asked.options));
      const made = await navigator.credentials.create({ publicKey });
      await api.send("POST", "/session/passkeys", { answer: JSON.stringify(made), label });
    });
  }
}

export const session = new Session();
