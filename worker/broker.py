"""The queue between the scheduler and the threads that work: in this process, on Redis or on RabbitMQ. It holds ids only."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AgeLimit, Retries, ShutdownNotifications, TimeLimit

from models.errors import Invalid


def build_broker(url: str) -> dramatiq.Broker:
    """The broker of a URL, set as the process's own: call it before ``worker.actors`` is imported. Raises Invalid for a
    broker that is not there or whose package is not installed."""
    middleware: list[Any] = [AgeLimit(), TimeLimit(), ShutdownNotifications(), Retries(max_retries=0)]
    if url.startswith("memory"):
        broker: dramatiq.Broker = StubBroker(middleware=middleware)
    elif url.startswith(("redis", "unix")):
        broker = _redis(url, middleware)
    else:
        try:
            from dramatiq.brokers.rabbitmq import RabbitmqBroker
        except ImportError as error:
            raise Invalid(
                "amqp:// needs RabbitMQ's client. Install it with: pip install 'dramatiq[rabbitmq]'"
            ) from error
        broker = RabbitmqBroker(url=url, middleware=middleware)
    dramatiq.set_broker(broker)
    return broker


def _redis(url: str, middleware: list[Any]) -> dramatiq.Broker:
    """Redis by TCP (redis://, rediss://) or by its socket (unix:///path); asked once, so that a wrong address is told at the
    start and not by silence."""
    from dramatiq.brokers.redis import RedisBroker
    from redis import RedisError

    try:
        broker = RedisBroker(url=url, middleware=middleware)
        broker.client.ping()
    except (RedisError, ValueError) as error:
        raise Invalid(
            f"Redis does not answer ({str(error).rstrip('.')}). Start it, or correct DEALTRAIL_BROKER_URL."
        ) from error
    return broker


class EmbeddedWorker:
    """dramatiq's threads inside this process. What is queued at the end is lost, and claimed again when its lease ends."""

    def __init__(self, broker: dramatiq.Broker, *, threads: int = 4) -> None:
        self._broker = broker
        self._worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=100)

    def start(self) -> None:
        self._broker.emit_after("process_boot")
        self._worker.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish what is running, for up to ``timeout`` seconds."""
        self._worker.stop(timeout=int(timeout * 1000))
        self._broker.close()
