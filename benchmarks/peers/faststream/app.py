"""The application, for `faststream run`."""

from faststream import FastStream
from faststream.rabbit import Channel, ExchangeType, RabbitBroker, RabbitExchange, RabbitQueue
from faststream.rabbit.annotations import RabbitMessage
from faststream.rabbit.response import RabbitResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import async_sessionmaker

from benchmarks.peers.orm import carry_out, engine_of, make_tables
from benchmarks.peers.place import place

here = place()
engine = engine_of(here.database_url)
sessions = async_sessionmaker(engine, expire_on_commit=False)

# Without a logger: it would write two lines a message.
broker = RabbitBroker(here.amqp_url, default_channel=Channel(prefetch_count=here.prefetch), logger=None)
app = FastStream(broker)
commands = RabbitQueue(here.commands, declare=False)
events = RabbitExchange(here.events, type=ExchangeType.TOPIC, durable=True, declare=False)


class Command(BaseModel):
    """The body of a command."""

    device_id: str


@app.on_startup
async def prepare() -> None:
    """Make the tables."""
    await make_tables(engine)


@broker.subscriber(commands)
async def carry_out_command(command: Command, message: RabbitMessage) -> RabbitResponse:
    """Commit, say what happened, and reply with what is returned."""
    kind = message.raw_message.type or ""
    async with sessions.begin() as session:
        reply, event = await carry_out(session, kind, command.device_id, message.message_id)
    if event is not None:
        await broker.publish(
            event,
            exchange=events,
            routing_key=f"{event['type']}.{command.device_id}",
            persist=True,
            message_id=event["id"],
            message_type=event["type"],
        )
    return RabbitResponse(reply, correlation_id=message.correlation_id, persist=True)
