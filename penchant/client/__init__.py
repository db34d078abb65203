"""How an application in Python talks to a Penchant server, near or far away.

from penchant.client import Client

with Client("http://127.0.0.1:7461") as client:
    client.put_items([Item(id="alien", fields={"title": "Alien"}), Item(id="moon", fields={"title": "Moon"})])
    client.send(Event(user="ann", action="click", item="alien"))
    slate = client.recommend(Query(user="ann", limit=10))

Notable: the words and the errors are those of the engine in process, and nothing of the engine is imported. It needs
httpx: `pip install 'penchant[client]'`.
"""

from __future__ import annotations

try:
    import httpx  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("The client needs httpx: pip install 'penchant[client]'.", name=error.name) from None

from penchant.client.answers import Refused
from penchant.client.clients import AsyncClient, Client
from penchant.client.sending import AsyncSender, Bounds, Lost, Sender

__all__ = ["AsyncClient", "AsyncSender", "Bounds", "Client", "Lost", "Refused", "Sender"]
