-- decide_slot: slot_hold keeps a place for a visitor while he fills in the form, for five minutes; slot_release ends that.
--   slot_hold     args.form; args.at (ms), or args.when (local time) and args.time_zone; the command's id becomes the hold's
--   slot_release  args.form, args.hold
-- The place is taken from then on; who submits with "hold" has it, see intake_book().
-- What is in the quiet hours of his zone cannot be held.
-- Refusals: unknown_form; no_slots: its queue has none; invalid {"errors": [{"field", "message"}]}; not_found: no such hold.
-- The events say {"hold": {"id", "queue", "form", "starts_at", "local", "time_zone", "until_at"}}.
-- VOLATILE: no change carries a hold; it writes them itself. Reads form, queue, opening, callback, time_zone; writes slot_hold.
-- Needs tenant_lock().
CREATE FUNCTION decide_slot(p_tenant int, p_now timestamptz, p_run command[]) RETURNS change[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m command;
	f form;
	q queue;
	h slot_hold;
	j record;
	v_refusal text;
	v_errors jsonb;
	v_changes change[] := '{}';
BEGIN
	DELETE FROM slot_hold o WHERE o.tenant_id = p_tenant AND o.until <= p_now;
	FOREACH m IN ARRAY p_run LOOP
		v_errors := NULL;
		SELECT * INTO f FROM form u WHERE u.tenant_id = p_tenant AND u.form_id = (m.args ->> 'form')::int AND NOT u.removed;
		SELECT * INTO q FROM queue_row(p_tenant, f.queue_id);
		v_refusal := CASE WHEN m.role IS DISTINCT FROM 'public' THEN 'not_found' WHEN f.form_id IS NULL THEN 'unknown_form' END;
		IF v_refusal IS NULL AND m.kind = 'slot_release' THEN
			DELETE FROM slot_hold o WHERE o.tenant_id = p_tenant AND o.hold_id = (m.args ->> 'hold')::uuid AND o.form_id = f.form_id
			RETURNING * INTO h;
			v_refusal := CASE WHEN NOT FOUND THEN 'not_found' END;
		ELSIF v_refusal IS NULL THEN
			SELECT * INTO j FROM slot_hold_judge(m.id, f, q, m.args, p_now);
			h := j.h;
			v_errors := j.errors;
			v_refusal := CASE WHEN q.slots IS NULL THEN 'no_slots' WHEN v_errors IS NOT NULL THEN 'invalid' END;
			IF v_refusal IS NULL THEN
				INSERT INTO slot_hold SELECT h.*;
			END IF;
		END IF;
		IF v_refusal IS NOT NULL THEN
			v_changes := v_changes || ROW (m.ord, NULL, v_refusal, jsonb_strip_nulls(jsonb_build_object('errors', v_errors)),
				NULL, NULL, NULL, NULL, NULL, NULL, NULL)::change;
			CONTINUE;
		END IF;
		v_changes := v_changes || change_of(m.ord, m.id, CASE m.kind WHEN 'slot_hold' THEN 'slot.held' ELSE 'slot.released' END, NULL,
			p_extra => jsonb_build_object('hold', slot_hold_image(h, coalesce(m.args ->> 'time_zone', f.time_zone))));
	END LOOP;
	RETURN v_changes;
END
$$;

-- slot_hold_image: with its time as it is by the clock of p_zone.
CREATE FUNCTION slot_hold_image(h slot_hold, p_zone text) RETURNS jsonb
LANGUAGE sql STABLE
AS $$
	SELECT jsonb_build_object('id', h.hold_id, 'queue', h.queue_id, 'form', h.form_id, 'starts_at', ms(h.slot_at),
		'local', to_char(h.slot_at AT TIME ZONE p_zone, 'YYYY-MM-DD"T"HH24:MI:SS'), 'time_zone', p_zone, 'until_at', ms(h.until))
$$;

-- slot_hold_judge: the hold that is asked for, or what is wrong with it.
CREATE FUNCTION slot_hold_judge(p_id uuid, f form, q queue, p_args jsonb, p_now timestamptz, OUT h slot_hold, OUT errors jsonb)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_named text := coalesce(p_args ->> 'time_zone', f.time_zone);
	v_zone text := (SELECT z.name FROM time_zone z WHERE z.name = v_named LIMIT 1);
	v_asked text := coalesce(p_args ->> 'at', nullif(p_args ->> 'when', 'asap'), '');
	v_at timestamptz;
	v_hours jsonb := calling_hours(f.tenant_id, q.queue_id);
	v_callable_at timestamptz;
	v_message text;
BEGIN
	IF q.slots IS NULL THEN
		RETURN;
	END IF;
	v_at := CASE
		WHEN p_args ->> 'at' ~ '^[0-9]{1,14}$' THEN from_ms((p_args ->> 'at')::bigint)
		WHEN NOT p_args ? 'at' THEN (wall_time(local_time(p_args ->> 'when'), v_zone)).at END;
	v_callable_at := CASE WHEN v_hours IS NULL OR v_zone IS NULL THEN v_at ELSE calling_from(v_hours, ARRAY[v_zone], v_at) END;
	errors := intake_errors(p_now, v_zone, v_named, v_asked, v_at, v_callable_at, f.horizon_s, f.notice_s, NULL, 'quiet_hours');
	IF errors IS NOT NULL THEN
		RETURN;
	END IF;
	v_message := (slot_take(q, v_at, v_zone, p_now, '{}')).message;
	IF v_message IS NOT NULL THEN
		errors := jsonb_build_array(jsonb_build_object('field', 'when', 'message', v_message));
		RETURN;
	END IF;
	h := ROW (f.tenant_id, p_id, q.queue_id, f.form_id, v_at, p_now + interval '5 minutes');
END
$$;
