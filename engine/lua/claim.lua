-- Leases a worker as many ready jobs as it has room for: `settle` for a worker that has nothing to settle.
-- ARGV: n worker lease default_max_active per_owner
-- FLAGS: allow-oom
-- per_owner: the most active jobs of one owner, 0 for no limit
-- RETURNS: claimed rows (see include/claim), ms until something is due
--- @include events
--- @include tally
--- @include claim
local rows, due_in = claim(tonumber(n), worker, tonumber(lease), default_max_active, tonumber(per_owner))
write_tally()
publish()
return { rows, due_in }
