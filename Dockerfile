# One image for web and worker. Built with the locked versions; runs as nobody in particular.
FROM python:3.12-slim AS build
ENV UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN pip install --no-cache-dir "uv>=0.5"
WORKDIR /app
COPY pyproject.toml uv.lock README.md ./
RUN uv sync --frozen --no-dev --no-install-project
COPY main.py house.py wiring.py serving.py doctor.py people.py connecting.py sync.py terminal.py enrol.py audit.py transfer.py demo.py settings.py ./
COPY connectors connectors
COPY models models
COPY worker worker
COPY webapp webapp
COPY sandbox sandbox
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 dealtrail && mkdir /data && chown dealtrail /data
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH DEALTRAIL_DATA_DIR=/data DEALTRAIL_HOST=0.0.0.0 PYTHONUNBUFFERED=1
USER dealtrail
WORKDIR /data
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/api/v1/health', timeout=4)"
CMD ["dealtrail", "serve"]
