// An OpenID Connect provider on loopback: node server.mjs PORT REDIRECT_URI
import { Provider } from "oidc-provider";

const [port, redirect] = process.argv.slice(2);
const known = {
  anna: { email: "anna@acme.example", email_verified: true },
  eve: { email: "anna@acme.example", email_verified: false },
  mallory: { email: "mallory@evil.example", email_verified: true },
};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "plant",
      client_secret: "a secret of the test",
      redirect_uris: [redirect],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: id, ...known[id] }),
  }),
});
const server = provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
process.stdin.on("end", () => server.close(() => process.exit(0)));
process.stdin.resume();
