import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const backend = process.env.LINESHAFT_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: "../src/lineshaft/web/static",
    emptyOutDir: true,
    // A data: address would need a wider content-security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licences.md" },
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": { target: backend, changeOrigin: true, ws: true } },
  },
});
