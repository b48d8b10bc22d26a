# SPDX-License-Identifier: MIT
# asyncio echo: `echo.py server PORT`, `echo.py client PORT FILE CLIENTS`.
"""The client sends FILE in shares over CLIENTS connections at once, half-closes each, and compares
what comes back with what it sent."""

import asyncio
import sys


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def serve(port):
    server = await asyncio.start_server(echo, "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


async def one(port, share):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert writer.get_extra_info("peername")[:2] == ("127.0.0.1", port)

    async def send():
        for at in range(0, len(share), 100000):
            writer.write(share[at : at + 100000])
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(send())
    back = bytearray()
    while data := await reader.read(65536):
        back += data
    await sending
    writer.close()
    await writer.wait_closed()
    assert back == share, f"{len(back)} bytes came back, {len(share)} were sent"


async def run(port, name, clients):
    with open(name, "rb") as file:
        data = file.read()
    step = -(-len(data) // clients)
    shares = [data[i * step : (i + 1) * step] for i in range(clients)]
    await asyncio.gather(*(one(port, share) for share in shares))
    print(f"{len(data)} bytes over {clients} connections came back as they were")


if sys.argv[1] == "server":
    try:
        asyncio.run(serve(int(sys.argv[2])))
    except KeyboardInterrupt:
        pass
else:
    asyncio.run(run(int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
