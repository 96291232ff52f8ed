"""The store's keys, and the scripts that it runs for us: each looks at the lease and acts in one step.

    PREFIX:lease          STRING  token of the holder, with an expiry: "NODE EPOCH SINCE PROCESS"
    PREFIX:epoch          STRING  the number of leases that were given so far: the fence, which only grows
    PREFIX:state          STRING  name of the generation that is whole
    PREFIX:seen           STRING  the last sign of life of a holder, seconds since the epoch
    PREFIX:fresh          STRING  is there for the life of a lease after the store was found empty
    PREFIX:nodes          HASH    by node: its last sign of life
    PREFIX:g:GENERATION   HASH    sealed records (cluster_seal)

All of them have the cluster's name in braces, so that one server of a Redis Cluster has them all. A write counts only
while its token is the lease: a node that was fenced and does not know it writes nothing any more.
"""

from __future__ import annotations

from typing import Final

KEPT_SECONDS: Final = 7 * 86_400
"""A whole generation goes so long after the last sign of its node."""
HALF_SECONDS: Final = 3600
"""One that was not finished goes after this time."""


def key(cluster: str, *names: str) -> str:
    """The name of a key."""
    return ":".join((f"gw:{{{cluster}}}", *names))


TAKE: Final = """
redis.call('HSET', KEYS[5], ARGV[1], ARGV[4])
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[5] and string.sub(held, -#ARGV[8]) ~= ARGV[8] then
  return {0, held, redis.call('HGETALL', KEYS[5])}
end
if not held and ARGV[6] ~= 'holder' then
  if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('SET', KEYS[2], ARGV[2])
    redis.call('SET', KEYS[6], ARGV[1], 'PX', ARGV[7])
  end
  if redis.call('EXISTS', KEYS[6]) == 1 then return {0, '', redis.call('HGETALL', KEYS[5])} end
end
local epoch = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(ARGV[2])) + 1
local token = ARGV[1] .. ' ' .. string.format('%d', epoch) .. ' ' .. ARGV[4] .. ' ' .. ARGV[8]
redis.call('SET', KEYS[2], string.format('%d', epoch))
redis.call('SET', KEYS[1], token, 'PX', ARGV[3])
return {1, token, redis.call('GET', KEYS[3]) or '', redis.call('GET', KEYS[4]) or '0'}
"""
"""KEYS: lease, epoch, state, seen, nodes, fresh. ARGV: node, highest epoch that it knows, life in ms, now, the last
token of this node, whose process is over, or nothing; `holder` for a node that is active; the longest life of a lease
in ms; the process, by a name of its own: a question that the store answered too late may have been carried out, and its
lease is this process's.

A store without an epoch is new or was emptied. A node may be active whose lease it has forgotten: others wait for as
long as that lease can last, and the holder takes it anew at its next question."""

LOOK: Final = """
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return {redis.call('GET', KEYS[1]) or '', redis.call('HGETALL', KEYS[2])}
"""
"""KEYS: lease, nodes. ARGV: node, now."""

RENEW: Final = f"""
local held = redis.call('GET', KEYS[1])
if held ~= ARGV[1] then return {{0, held or ''}} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
local state = redis.call('GET', KEYS[4])
if state and ARGV[5] == state then redis.call('EXPIRE', KEYS[5], {KEPT_SECONDS}) end
return {{1, state or '', redis.call('HGETALL', KEYS[3])}}
"""
"""KEYS: lease, seen, nodes, state, records. ARGV: token, life in ms, node, now, generation."""

RELEASE: Final = """
redis.call('HDEL', KEYS[2], ARGV[2])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
"""KEYS: lease, nodes. ARGV: token, node."""

WRITE: Final = f"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lost' end
if ARGV[2] == 'new' then
  if redis.call('GET', KEYS[3]) ~= ARGV[3] then redis.call('UNLINK', KEYS[4]) end
  redis.call('HSET', KEYS[2], 'generation', ARGV[1])
  redis.call('EXPIRE', KEYS[2], {HALF_SECONDS})
elseif redis.call('HGET', KEYS[2], 'generation') == false then
  return 'emptied'
end
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', KEYS[2], ARGV[i])
  else
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  end
end
return 'written'
"""
"""KEYS: lease, records, state, records of a half that its maker has given up. ARGV: token, new or more, name of that
half, then field and record in turns; an empty record: none any more. The half is whole, and stays, where the answer to
COMPLETE was lost."""

COMPLETE: Final = f"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lost' end
if redis.call('EXISTS', KEYS[3]) == 0 then return 'emptied' end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[3], {KEPT_SECONDS})
for i = 4, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 'written'
"""
"""KEYS: lease, state, records, then those of generations before. ARGV: token, generation."""
