"""A server with a program of its own: `python examples/server.py /tmp/greeter.sock`.

The table below is all that a client needs, too:
`await connection.call(GREET, GreetArgs("you"))` returns `GreetRet("hello, you")`.
"""

import asyncio
import sys

from aiovirt.rpc.server import Client, Handlers, serve, serves
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Program


@xdr.struct
class GreetArgs:
    name: xdr.Str


@xdr.struct
class GreetRet:
    text: xdr.Str


GREETER = Program("greeter", 0x2ABCDEF0, 1)
GREET = GREETER.procedure(1, "GREET", GreetArgs, GreetRet)


class GreeterDispatch:
    @serves(GREET)
    def greet(self, client: Client, args: GreetArgs) -> GreetRet:
        return GreetRet(f"hello, {args.name}")


async def main(path: str) -> None:
    async with serve(Handlers.of(GreeterDispatch()), path=path):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
