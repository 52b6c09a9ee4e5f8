#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A guest of a few lines: it sends each record back. With --async it does so in an event loop."""
import asyncio
import sys

import peal


async def echo_async(channel):
    async for record in channel.rx:
        await channel.tx.send_async(record.data, record.type)


channel = peal.attach(sys.argv)
if '--async' in sys.argv:
    asyncio.run(echo_async(channel))
else:
    for record in channel.rx:
        channel.tx.send(record.data, record.type)
channel.close()
