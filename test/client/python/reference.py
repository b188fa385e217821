"""The reference's own client, driven from outside.

`reference.py URL`: calls NodeClient(URL); each line of stdin is a JSON list [method, arguments, keywords], each line of stdout
what came of it. `reference.py cli ...`: the client's command.

The package's declared dependencies are not all in the registry (infernet-ml >= 2.0.0.81 never was) and web3 alone takes half a
minute to install. HTTP calls use none of them: what only chain calls and type annotations need is replaced by stand-ins, as far as
it is not installed.
"""

import asyncio
import importlib.machinery
import importlib.util
import json
import sys
from unittest.mock import MagicMock

NEEDED = ("web3", "eth_account", "eth_typing", "eth_abi", "hexbytes", "infernet_ml")
ABSENT = {name for name in NEEDED if importlib.util.find_spec(name) is None}


class StandIns:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = MagicMock()
        module.__path__ = []
        module.__spec__ = spec
        module.__name__ = spec.name
        return module

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, StandIns())

import infernet_client  # noqa: E402
from infernet_client.error import APIError  # noqa: E402


async def answer(client, method, arguments, keywords):
    try:
        called = getattr(client, method)(*arguments, **keywords)
        if hasattr(called, "__aiter__"):
            return {"value": [repr(chunk) async for chunk in called]}
        return {"value": await called}
    except APIError as error:
        return {
            "api_error": {
                "status": error.status_code,
                "message": error.message,
                "params": error.params,
                "text": str(error),
            }
        }
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}


async def serve(url):
    client = infernet_client.NodeClient(url)
    for line in sys.stdin:
        method, arguments, keywords = json.loads(line)
        print(json.dumps(await answer(client, method, arguments, keywords)), flush=True)


if sys.argv[1] == "cli":
    sys.argv = ["infernet-client", *sys.argv[2:]]
    sys.exit(infernet_client.main())
asyncio.run(serve(sys.argv[1]))
