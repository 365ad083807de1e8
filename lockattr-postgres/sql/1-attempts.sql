-- Executes a batch of attempts. An operation is `a` acquire, `q` acquire or queue up, `n` renew, `v` reserve tokens,
-- `r` release, `l` release and leave the queue. `millis` is the ttl; `p` is -1 for alone, 0 for shared, otherwise the
-- number of permits. `channel` and `own` are null where the process polls.
--
-- A reply is `g` granted, `h` held, `o` held in another mode, `t` tombstoned, `r` renewed, `v` reserved, `x` gone,
-- `d` released. `at` is the clock, in microseconds.
create function {schema}.attempts_v1(
    ops text[], keys text[], owners text[], millis bigint[], claims int[], tokens int[], p int[], w int[],
    names text[], tombs bigint[], keeps bigint[], channel text, own bigint
) returns table (place int, reply text, first bigint, count int, "left" bigint, who text, contended boolean, at bigint)
language plpgsql set lock_timeout = '1s' as $$
declare
    i int;
    it {schema}.lock;
    n int;
    t bigint;
    now timestamptz;
    until timestamptz;
    is_given boolean;
    is_next boolean;
    verdict record;
begin
if current_setting('transaction_isolation') <> 'read committed' then
    -- It would overlook a tombstone that was committed after its first look.
    raise exception 'lockattr: transactions of this user are %', current_setting('transaction_isolation')
        using errcode = 'LOCK2', hint = 'alter role … set default_transaction_isolation = ''read committed''';
end if;
for i in select g from generate_subscripts(keys, 1) g order by keys[g] collate "C", g loop
    place := i; reply := 'd'; first := 0; count := 0; "left" := 0; who := null; contended := false;
    n := tokens[i];

    if ops[i] in ('a', 'q') then
        is_given := false;
        if p[i] < 0 then
            -- The short way: no owner has it, none waits.
            t := {schema}.micros(clock_timestamp());
            update {schema}.lock l set token = greatest(l.fence + 1, t), fence = greatest(l.fence + 1, t) + n - 1,
                owner = owners[i], since = clock_timestamp(), who = names[i],
                ends = clock_timestamp() + millis[i] * interval '1 millisecond'
                where l.key = keys[i] and (l.owner is null or l.ends <= clock_timestamp())
                    and not l.is_shared and not l.is_waited
                returning l.token into t;
            is_given := found;
            if not is_given then
                -- Or it has no row.
                t := {schema}.micros(clock_timestamp());
                insert into {schema}.lock as l (key, fence, owner, token, since, ends, who) values (keys[i], t + n - 1,
                    owners[i], t, clock_timestamp(), clock_timestamp() + millis[i] * interval '1 millisecond', names[i])
                    on conflict do nothing;
                is_given := found;
                if is_given then
                    -- A transaction that removed its row before has committed by now, so that its tokens are seen here.
                    update {schema}.lock l set token = f.token + 1, fence = f.token + n
                        from {schema}.floor f where l.key = keys[i] and f.token >= t;
                    if found then
                        select l.token into t from {schema}.lock l where l.key = keys[i];
                    end if;
                end if;
            end if;
        end if;
        if not is_given then
            it := {schema}.row_v1(keys[i]);
            now := clock_timestamp();
            until := now + millis[i] * interval '1 millisecond';
            -- Has it already?
            t := null;
            if p[i] < 0 then
                if it.owner = owners[i] and it.ends > now then
                    update {schema}.lock l set ends = greatest(l.ends, until) where l.key = keys[i];
                    t := it.token;
                end if;
            elsif it.is_shared then
                update {schema}.share s set ends = greatest(s.ends, until)
                    where s.key = keys[i] and s.owner = owners[i] and s.ends > now and not s.is_finished
                    returning s.token into t;
            end if;
            if t is not null then
                reply := 'g'; first := t; count := 1; contended := it.is_waited;
                at := {schema}.micros(clock_timestamp());
                return next;
                continue;
            end if;
            if exists (select from {schema}.tombstone b where b.owner = owners[i] and b.ends > clock_timestamp()) then
                reply := 't';
                at := {schema}.micros(clock_timestamp());
                return next;
                continue;
            end if;
            if it.is_shared then
                delete from {schema}.share s where s.key = keys[i] and s.ends <= now;
                if not exists (select from {schema}.share s where s.key = keys[i]) then
                    update {schema}.lock l set is_shared = false where l.key = keys[i];
                end if;
            end if;
            is_next := it.is_waited and {schema}.serve_v1(keys[i], owners[i], own);
            if not is_next then
                select * into verdict from {schema}.admits_v1(keys[i], p[i], w[i]);
                if verdict.verdict < 0 then
                    delete from {schema}.waiter q where q.key = keys[i] and q.owner = owners[i];
                    reply := 'o'; count := verdict.held;
                    at := {schema}.micros(clock_timestamp());
                    return next;
                    continue;
                end if;
                is_next := verdict.verdict > 0
                    and not (it.is_waited and exists (select from {schema}.waiter q where q.key = keys[i]));
            end if;
            if not is_next then
                if ops[i] = 'q' then
                    update {schema}.waiter q set seen = now, channel = attempts_v1.channel, live = own
                        where q.key = keys[i] and q.owner = owners[i];
                    if not found then
                        insert into {schema}.waiter (key, owner, permits, weight, claim, tokens, channel, live, since, seen, who)
                            values (keys[i], owners[i], p[i], w[i], claims[i], n, channel, own, now, now, names[i]);
                    end if;
                    update {schema}.lock l set is_waited = true where l.key = keys[i] and not l.is_waited;
                end if;
                reply := 'h';
                select h.ends, h.who into until, who from {schema}.holder h
                    where h.key = keys[i] order by h.ends desc limit 1;
                "left" := coalesce(ceil(extract(epoch from until - now) * 1000)::bigint, 0);
                at := {schema}.micros(clock_timestamp());
                return next;
                continue;
            end if;
            t := {schema}.give_v1(keys[i], owners[i], p[i], w[i], n, millis[i], names[i]);
            select l.is_waited into contended from {schema}.lock l where l.key = keys[i];
        elsif exists (select from {schema}.tombstone b where b.owner = owners[i] and b.ends > clock_timestamp()) then
            -- Only now the row is locked, so that no tombstone is overlooked.
            update {schema}.lock l set owner = null where l.key = keys[i];
            reply := 't';
            at := {schema}.micros(clock_timestamp());
            return next;
            continue;
        end if;
        reply := 'g'; first := t; count := n;

    elsif ops[i] = 'n' then
        reply := 'x';
        if p[i] < 0 then
            update {schema}.lock l set ends = greatest(l.ends, clock_timestamp() + millis[i] * interval '1 millisecond')
                where l.key = keys[i] and l.owner = owners[i] and l.ends > clock_timestamp()
                returning l.is_waited into contended;
        else
            select l.is_waited into contended from {schema}.lock l where l.key = keys[i] for update;
            update {schema}.share s set ends = greatest(s.ends, clock_timestamp() + millis[i] * interval '1 millisecond')
                where s.key = keys[i] and s.owner = owners[i] and s.ends > clock_timestamp() and not s.is_finished;
        end if;
        if found then
            reply := 'r';
        end if;

    elsif ops[i] = 'v' then
        reply := 'x';
        t := {schema}.micros(clock_timestamp());
        update {schema}.lock l set fence = greatest(l.fence + 1, t) + n - 1
            where l.key = keys[i] and l.owner = owners[i] and l.ends > clock_timestamp()
            returning l.fence - n + 1, l.is_waited into first, contended;
        if found then
            reply := 'v'; count := n;
        end if;

    else
        is_given := false;
        if p[i] < 0 and tombs[i] is null and keeps[i] is null then
            -- The short way: it has it, none waits.
            update {schema}.lock l set owner = null
                where l.key = keys[i] and l.owner = owners[i] and not l.is_waited;
            is_given := found;
        end if;
        if not is_given then
            if tombs[i] is null then
                select * into it from {schema}.lock l where l.key = keys[i] for update;
            else
                -- The row makes an acquire wait that is executed meanwhile.
                it := {schema}.row_v1(keys[i]);
                insert into {schema}.tombstone as b values (owners[i], clock_timestamp() + tombs[i] * interval '1 millisecond')
                    on conflict (owner) do update set ends = greatest(b.ends, excluded.ends);
            end if;
            if it.key is not null then
                if ops[i] = 'l' and it.is_waited then
                    delete from {schema}.waiter q where q.key = keys[i] and q.owner = owners[i];
                end if;
                until := clock_timestamp() + keeps[i] * interval '1 millisecond';
                if p[i] < 0 then
                    update {schema}.lock l set owner = case when keeps[i] > 0 then '' end, ends = coalesce(until, l.ends)
                        where l.key = keys[i] and l.owner = owners[i];
                elsif keeps[i] > 0 then
                    update {schema}.share s set owner = '-' || s.token, ends = until, is_finished = true
                        where s.key = keys[i] and s.owner = owners[i] and not s.is_finished;
                else
                    delete from {schema}.share s
                        where s.key = keys[i] and s.owner = owners[i] and not s.is_finished;
                end if;
                if it.is_waited then
                    perform {schema}.serve_v1(keys[i], null, own);
                end if;
            end if;
        end if;
    end if;
    -- Null where nothing was found.
    contended := coalesce(contended, false);
    first := coalesce(first, 0);
    at := {schema}.micros(clock_timestamp());
    return next;
end loop;
end $$;
