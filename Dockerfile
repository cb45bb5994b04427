# syntax=docker/dockerfile:1
# One image for every part of Raylog: which stages a container runs is in its command.

FROM node:24.21.0-slim AS build
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Scripts stay off: the Node that npm would fetch for people is already here, and nothing else needs them.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY . .
RUN node --input-type=module -e "await (await import('./web/build.ts')).buildPageIfChanged()" && \
    install -d -o 1000 -g 1000 node_modules/.cache
# What Node makes of the modules is made here, by one start and stop with made-up images: containers cannot keep it, their file
# systems being read-only, and would make it at each start, in 30 MB more of each process. It is kept by user id, by flags (those of
# cli/few-arenas.ts) and by what the processor can: elsewhere it is made anew, as ever. Its files are for their owner alone until then.
USER 1000:1000
RUN timeout --preserve-status 20 node cli/main.ts --data /tmp/warm start --demo > /dev/null && \
    rm -r /tmp/warm && \
    NODE_COMPILE_CACHE=node_modules/.cache/compiled \
    node --max-semi-space-size=8 --heap-growing-percent=40 --input-type=module -e "await import('./cli/distributed.ts')" && \
    chmod -R a+rX node_modules/.cache

FROM node:24.21.0-slim
ENV NODE_ENV=production \
    RAYLOG_DATA=/data \
    RAYLOG_HTTP__HOST=0.0.0.0 \
    RAYLOG_HTTP__EXPOSE_BEYOND_THIS_MACHINE=true \
    RAYLOG_DIMSE__HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app /app
# Volumes take owner and mode from here: everything is kept by the user that runs it, and read by nobody else.
RUN install -d -o node -g node -m 0700 /data /secrets
# The image's node, as a number: an orchestrator that lets no root in can tell.
USER 1000:1000
VOLUME /data
EXPOSE 8080 11112
# Long enough for a first start that loads models on a slow machine.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/cli/main.ts"]
CMD ["start"]
