# SPDX-License-Identifier: Apache-2.0
# The service: Node.js and the bundle. It does not run as root, and needs no writable root file system.
# It is bundled on the builder's architecture: the result is the same for all, and the last stage runs nothing.
#
#   docker build -f images/service.Dockerfile -t whodunit .
ARG GO_IMAGE=golang:1.26.8-trixie
ARG NODE_IMAGE=node:24.21.0-trixie-slim
# Base of the final image: needs Node.js 22.15 or later in its PATH.
ARG RUNTIME_IMAGE=${NODE_IMAGE}

FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src src
COPY scripts/paths.ts scripts/paths.ts
COPY scripts/build/service.ts scripts/build/page.ts scripts/build/
RUN node scripts/build/service.ts && install -d -m 0750 /state

# The loader's static program asks for the health: a second Node.js for each question took 2.6 % of a core at one every 5 s.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS health
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY loader loader
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' -o /whodunit-loader ./loader

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="whodunit" \
      org.opencontainers.image.description="Finds out why a Linux process died, and what killed it, and sends that as one OpenTelemetry record" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /src/package.json /opt/whodunit/package.json
COPY --from=health /whodunit-loader /opt/whodunit/whodunit-loader
COPY --from=build /src/dist /opt/whodunit/dist
# A new volume mounted here gets this owner and mode.
COPY --from=build --chown=65532:65532 /state /var/lib/whodunit
ENV NODE_ENV=production
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s \
    CMD ["/opt/whodunit/whodunit-loader", "health", "--service"]
ENTRYPOINT ["node", "--max-semi-space-size=16", "--max-old-space-size=192", "/opt/whodunit/dist/main.js"]
CMD ["run"]
