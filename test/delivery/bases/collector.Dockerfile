# SPDX-License-Identifier: Apache-2.0
# Stands in for otel/opentelemetry-collector-contrib: the collector of the tests, as that runs: in an empty image, as a user of its own.
FROM scratch
COPY collector /otelcol-contrib
USER 10001
ENTRYPOINT ["/otelcol-contrib"]
CMD ["--config", "/etc/otelcol-contrib/config.yaml"]
