// Fastify as a gateway: @fastify/jwt with its cache, then @fastify/http-proxy. The settings are a JSON file:
// {"port", "upstream", "publicKey", "log"}.
import { readFileSync } from "node:fs";
import Fastify from "fastify";
import proxy from "@fastify/http-proxy";
import jwt from "@fastify/jwt";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const server = Fastify({ logger: { level: "info", file: settings.log } });
await server.register(jwt, { secret: { public: settings.publicKey }, verify: { algorithms: ["ES256"], cache: true } });
await server.register(proxy, {
  upstream: `http://127.0.0.1:${settings.upstream}`,
  preHandler: (request) => request.jwtVerify(),
  undici: { connections: 128, pipelining: 1, keepAliveTimeout: 3_600_000 },
});
await server.listen({ port: settings.port, host: "127.0.0.1" });
