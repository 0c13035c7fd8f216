-- wrk's visitor: posts a form over and over, each time with another number of Berlin.
--   wrk -s intake.lua URL -- FIRST [PRODUCTS]
-- FIRST: eight digits; this run's numbers count up from it. PRODUCTS: so many, in turn, at most 1000; else one
-- The request is put together by hand: wrk.format() would cost more than the server.
local first, next_number, head, tail
local whens, products = {}, {}

function init(args)
	first = tonumber(args[1])
	next_number = first
	for i = 0, 999 do
		whens[i] = os.date("%Y-%m-%dT%H%%3A%M", os.time() + 2 * 86400 + i * 600)
	end
	head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n" ..
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
	tail = "&name=Erika+Mustermann&language=de&consent=true&subject=Financing+of+a+new+kitchen" ..
		"&notes=I+have+two+offers+already+and+would+like+to+compare+them.+Mornings+are+best.+Please+have+the+" ..
		"customer+number+ready.&customer=K-4711-0815&page=https%3A%2F%2Fwww.example.com%2Floans%2Fkitchen" ..
		"&campaign=autumn-2026&product=consumer-loan"
	products.n = tonumber(args[2] or "0")
	for i = 0, products.n - 1 do
		products[i] = string.format("-%03d", i)
	end
	local sample = "phone=%2B4930" .. first .. "&email=v" .. first .. "%40example.com&when=" .. whens[0] .. tail .. (products[0] or "")
	head = head .. #sample .. "\r\n\r\nphone=%2B4930"
end

function request()
	local n = next_number
	next_number = n + 1
	return head .. n .. "&email=v" .. n .. "%40example.com&when=" .. whens[n % 1000] .. tail ..
		(products.n > 0 and products[n % products.n] or "")
end

-- One line for the harness; wrk counts as errors.status what is 400 and more.
function done(summary, latency)
	local e = summary.errors
	io.write(string.format(
		"\nRESULT {\"answers\": %d, \"seconds\": %.6f, \"refused\": %d, \"errors\": %d, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
		summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout,
		latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
