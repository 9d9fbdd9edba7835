# SPDX-License-Identifier: Apache-2.0
# The loader: one static program in an empty image. It is cross-compiled on the builder's architecture.
#
#   docker build -f images/loader.Dockerfile -t whodunit-loader .
#
# It runs as root with four capabilities (docs/deployment.md), because the BPF file system belongs to root.
ARG GO_IMAGE=golang:1.26.8-trixie

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY loader loader
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -trimpath -ldflags='-s -w' -o /whodunit-loader ./loader

FROM scratch
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="whodunit-loader" \
      org.opencontainers.image.description="Attaches whodunit's eBPF probes and serves their events on a Unix socket" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /whodunit-loader /whodunit-loader
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s CMD ["/whodunit-loader", "health"]
ENTRYPOINT ["/whodunit-loader"]
CMD ["run"]
