-- What wrk prints is for people; this prints one line for wrk.py. Latencies are in microseconds, whole histogram included.
done = function(summary, latency, _)
    local median = latency:percentile(50)
    local all, slow = 0, 0
    for i = 1, #latency do
        local value, count = latency(i)
        all = all + count
        if value > 10 * median then slow = slow + count end
    end
    local e = summary.errors
    io.write(string.format(
        "bench-result requests=%d duration_us=%d p50_us=%d p99_us=%d p999_us=%d max_us=%d samples=%d slow=%d "
            .. "connect=%d read=%d write=%d status=%d timeout=%d\n",
        summary.requests, summary.duration, median, latency:percentile(99), latency:percentile(99.9), latency.max,
        all, slow, e.connect, e.read, e.write, e.status, e.timeout))
end
