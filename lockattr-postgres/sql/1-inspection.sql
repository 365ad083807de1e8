-- All holders, for people too.
create view {schema}.holder as
    select key, owner, -1 as permits, 1 as weight, token, since, ends, who, owner = '' as is_finished
        from {schema}.lock where owner is not null and ends > clock_timestamp()
    union all
    select key, owner, permits, weight, token, since, ends, who, is_finished
        from {schema}.share where ends > clock_timestamp();

-- Of these owners, those that have what they waited for, as a process asks that does not listen.
create function {schema}.handed_over_v1(keys text[], owners text[])
returns table (owner text, first bigint, count int, contended boolean, millis bigint, since bigint) language sql stable as $$
    select h.owner, h.token, case when h.permits < 0 then l.fence - h.token + 1 else 1 end::int, l.is_waited,
            floor(extract(epoch from h.ends - h.since) * 1000)::bigint, {schema}.micros(h.since)
        from {schema}.holder h join {schema}.lock l using (key)
        where h.key = any (keys) and h.owner = any (owners)
        order by h.token
$$;

-- Takes a key away from all that have it, and hands it to the first waiters.
create function {schema}.take_away_v1(k text) returns void language plpgsql set lock_timeout = '1s' as $$
begin
    perform from {schema}.lock l where l.key = k for update;
    if found then
        update {schema}.lock l set owner = null where l.key = k;
        delete from {schema}.share s where s.key = k;
        perform {schema}.serve_v1(k, null, null);
    end if;
end $$;

-- Removes what has ended, and rows that were not used for some time: at most so many of each. Waits for no lock. Returns
-- whether there may be more.
create function {schema}.sweep_v1(most int) returns boolean language plpgsql as $$
declare
    n int;
    has_more boolean;
    unused text[];
    greatest_fence bigint;
begin
    -- One process at a time.
    perform from {schema}.floor for update skip locked;
    if not found then
        return false;
    end if;
    delete from {schema}.tombstone where owner in (
        select b.owner from {schema}.tombstone b where b.ends < clock_timestamp() limit most for update skip locked);
    get diagnostics n = row_count;
    has_more := n = most;
    delete from {schema}.fenced where key in (
        select f.key from {schema}.fenced f where f.since < clock_timestamp() - interval '7 days' limit most
            for update skip locked);
    get diagnostics n = row_count;
    has_more := has_more or n = most;
    -- A waiter asks again all the time, several times in each claim window.
    delete from {schema}.waiter where (key, place) in (
        select q.key, q.place from {schema}.waiter q
            where q.seen < clock_timestamp() - greatest(q.claim * interval '25 milliseconds', interval '1 minute')
            limit most for update skip locked);
    get diagnostics n = row_count;
    has_more := has_more or n = most;
    delete from {schema}.share where (key, owner) in (
        select s.key, s.owner from {schema}.share s where s.ends < clock_timestamp() limit most for update skip locked);
    get diagnostics n = row_count;
    has_more := has_more or n = most;
    -- The rows are locked first. Only the next statement sees what was committed until then, such as a waiter.
    unused := array(
        select l.key from {schema}.lock l
            where (l.owner is null or l.ends <= clock_timestamp()) and l.since < clock_timestamp() - interval '5 seconds'
                and not (l.is_shared and exists (select from {schema}.share s where s.key = l.key))
                and not (l.is_waited and exists (select from {schema}.waiter q where q.key = l.key))
            limit most for update skip locked);
    with gone as (
        delete from {schema}.lock l where l.key = any (unused)
                and not (l.is_shared and exists (select from {schema}.share s where s.key = l.key))
                and not (l.is_waited and exists (select from {schema}.waiter q where q.key = l.key))
            returning l.fence)
        select count(*), max(fence) into n, greatest_fence from gone;
    update {schema}.floor f set token = greatest(f.token, greatest_fence) where greatest_fence > f.token;
    return has_more or n = most;
end $$;

-- Lets a transaction go on only if no greater token has written to what the key protects, and keeps others with another
-- token waiting until its end.
create function {schema}.fence(k text, t bigint) returns void language plpgsql as $$
declare
    latest bigint;
begin
    insert into {schema}.fenced as f values (k, t, clock_timestamp())
        on conflict (key) do update set token = excluded.token, since = excluded.since where f.token <= excluded.token;
    if not found then
        select f.token into latest from {schema}.fenced f where f.key = k;
        raise exception 'lockattr: the lease of "%" was lost: token %, but % has written since', k, t, latest
            using errcode = 'LOCK1', hint = 'Roll back: another holder goes on.';
    end if;
end $$;
