# SPDX-License-Identifier: Apache-2.0
# Replaces otel/opentelemetry-collector-contrib: the collector of the tests, also in an empty image and as its own user.
FROM scratch
COPY collector /otelcol-contrib
USER 10001
ENTRYPOINT ["/otelcol-contrib"]
CMD ["--config", "/etc/otelcol-contrib/config.yaml"]
