-- The locks of lockattr, version 1. `{schema}` stands for the name of the schema.
--
-- The row of a key is locked before anything else of the key is read or written, and keys are taken in their order:
-- so two batches never wait for each other in a circle.

create table {schema}.version (version int not null);
insert into {schema}.version values (1);

-- A row for each key that an owner has, waits for, or had a moment ago. Acquire, renewal and release change no
-- indexed column, and find room on the same page: they leave nothing for a vacuum of the index.
create table {schema}.lock (
    key text collate "C" primary key,
    -- The last token that was given out.
    fence bigint not null,
    -- Who has it alone. Null for none; empty where `min_hold` keeps it though its holder has finished.
    owner text,
    -- The first token of that owner.
    token bigint not null default 0,
    since timestamptz not null default '-infinity',
    ends timestamptz not null default '-infinity',
    who text not null default '',
    -- Whether there may be rows in `share`.
    is_shared boolean not null default false,
    -- Whether there may be rows in `waiter`.
    is_waited boolean not null default false
) with (fillfactor = 50);

-- Those that have a key together: readers (permits = 0), or holders of permits.
create table {schema}.share (
    key text collate "C" not null,
    owner text not null,
    permits int not null,
    weight int not null,
    token bigint not null,
    since timestamptz not null,
    ends timestamptz not null,
    who text not null,
    -- Whether it has released it, and `min_hold` keeps others out.
    is_finished boolean not null default false,
    primary key (key, owner)
) with (fillfactor = 70);

-- The queue of each key, in the order of `place`.
create table {schema}.waiter (
    key text collate "C" not null,
    place bigint generated always as identity,
    owner text not null,
    -- -1 for alone.
    permits int not null,
    weight int not null,
    -- How long a lease is that is handed to it, in milliseconds, and with how many tokens.
    claim int not null,
    tokens int not null,
    -- Where its process listens, and the advisory lock that shows that it still does. Null if it polls.
    channel text,
    live bigint,
    since timestamptz not null,
    -- When it asked the last time.
    seen timestamptz not null,
    who text not null,
    primary key (key, place)
) with (fillfactor = 70);
create index on {schema}.waiter (owner);

-- Owners that must not be granted anything any more: a request of theirs may still be on its way.
create table {schema}.tombstone (
    owner text primary key,
    ends timestamptz not null
);

-- No token of a key whose row was removed is greater.
create table {schema}.floor (token bigint not null);
insert into {schema}.floor values (0);

-- The greatest token that wrote to what a key protects, for `fence`.
create table {schema}.fenced (
    key text collate "C" primary key,
    token bigint not null,
    since timestamptz not null
);

create function {schema}.micros(at timestamptz) returns bigint language sql immutable strict
    as 'select (extract(epoch from at) * 1000000)::bigint';

-- Returns the row of a key, locked. Makes it if there is none.
create function {schema}.row_v1(k text) returns {schema}.lock language plpgsql as $$
declare
    it {schema}.lock;
begin
    loop
        select * into it from {schema}.lock l where l.key = k for update;
        if found then
            return it;
        end if;
        insert into {schema}.lock as l (key, fence) values (k, 0) on conflict do nothing;
        if found then
            -- A transaction that removed the row before has committed by now, so its tokens are seen here.
            update {schema}.lock l set fence = f.token from {schema}.floor f where l.key = k returning l.* into it;
            return it;
        end if;
    end loop;
end $$;

-- Whether one more may have the key: 1 if so, 0 if not now, -1 if others have it in a mode that does not go with this one.
create function {schema}.admits_v1(k text, p int, w int, out verdict int, out held int) language plpgsql as $$
declare
    it {schema}.lock;
    taken bigint;
begin
    verdict := 1;
    select * into it from {schema}.lock l where l.key = k;
    if it.owner is not null and it.ends > clock_timestamp() then
        held := -1;
        verdict := case when p > 0 then -1 else 0 end;
    elsif it.is_shared then
        select min(s.permits), sum(s.weight) into held, taken
            from {schema}.share s where s.key = k and s.ends > clock_timestamp();
        if held is not null then
            verdict := case
                when (p > 0 or held > 0) and p <> held then -1
                when p < 0 then 0
                when p = 0 then 1
                when taken + w <= p then 1
                else 0
            end;
        end if;
    end if;
end $$;

-- Makes an owner a holder. Returns its first token.
create function {schema}.give_v1(k text, o text, p int, w int, n int, millis bigint, name text) returns bigint
language plpgsql as $$
declare
    t bigint := {schema}.micros(clock_timestamp());
    now timestamptz := clock_timestamp();
    until timestamptz := now + millis * interval '1 millisecond';
begin
    if p < 0 then
        update {schema}.lock l set token = greatest(l.fence + 1, t), fence = greatest(l.fence + 1, t) + n - 1,
            owner = o, since = now, ends = until, who = name
            where l.key = k returning l.token into t;
    else
        update {schema}.lock l set token = greatest(l.fence + 1, t), fence = greatest(l.fence + 1, t) + n - 1,
            owner = null, since = now, is_shared = true
            where l.key = k returning l.token into t;
        insert into {schema}.share values (k, o, p, w, t, now, until, name);
    end if;
    return t;
end $$;

-- Makes the first waiters holders, as far as they can have the key, and tells them. One whose process listens no longer is
-- passed over. Stops at `mine`, which is not told, and returns whether it got there. The caller has locked the row.
create function {schema}.serve_v1(k text, mine text, own bigint) returns boolean language plpgsql as $$
declare
    w {schema}.waiter;
    t bigint;
    verdict int;
    others boolean;
    at bigint;
begin
    loop
        select * into w from {schema}.waiter q where q.key = k order by q.place limit 1;
        if not found then
            update {schema}.lock l set is_waited = false where l.key = k and l.is_waited;
            return false;
        end if;
        verdict := (select a.verdict from {schema}.admits_v1(k, w.permits, w.weight) a);
        if verdict = 0 then
            return false;
        end if;
        delete from {schema}.waiter q where q.key = k and q.place = w.place;
        if verdict < 0 then
            -- It asks again, and is told.
            continue;
        end if;
        others := exists (select from {schema}.waiter q where q.key = k);
        if w.owner = mine then
            update {schema}.lock l set is_waited = others where l.key = k;
            return true;
        end if;
        -- Its session has this lock as long as it listens. One's own session would get it a second time.
        if w.live <> own and pg_try_advisory_xact_lock_shared(w.live) then
            continue;
        end if;
        -- Its lease is dated before it begins.
        at := {schema}.micros(clock_timestamp());
        t := {schema}.give_v1(k, w.owner, w.permits, w.weight, w.tokens, w.claim, w.who);
        update {schema}.lock l set is_waited = others where l.key = k;
        if w.channel is not null then
            perform pg_notify(w.channel, concat_ws('|', w.owner, t, w.tokens, others::int, w.claim, at));
        end if;
    end loop;
end $$;
