// What it takes to understand and explain a recording of each growing shape, of n, 2 n and 4 n events. "growth": the time against that of
// half the size: 2 is in proportion, 4 is the square. (tests/steps counts steps instead, which no other work disturbs.)
#include <benchmark/benchmark.h>

#include <ctime>
#include <map>
#include <string>

#include "explain/explain.h"
#include "recording/testing/growing_shapes.h"

namespace {

using tcpwhy::recording::testing::GrowingShape;

void explain_growing(benchmark::State& state, const GrowingShape& shape) {
  static std::map<std::pair<std::string_view, std::int64_t>, double> seconds;  // a round, by shape and size
  const auto recording = tcpwhy::recording::testing::grow(shape, static_cast<std::uint32_t>(state.range(0)));
  const std::clock_t begin = std::clock();
  for (auto _ : state) benchmark::DoNotOptimize(tcpwhy::explain::explain(recording));
  const double taken =
      static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / static_cast<double>(state.iterations());
  seconds[{shape.name, state.range(0)}] = taken;
  if (const auto half = seconds.find({shape.name, state.range(0) / 2}); half != seconds.end())
    state.counters["growth"] = taken / half->second;
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(recording.events.size()));
}

const int registered = [] {
  constexpr std::int64_t n = 10'000;
  for (const GrowingShape& shape : tcpwhy::recording::testing::growing_shapes)
    benchmark::RegisterBenchmark(std::string(shape.name).c_str(), explain_growing, shape)
        ->Arg(n)
        ->Arg(2 * n)
        ->Arg(4 * n)
        ->Unit(benchmark::kMillisecond);
  return 0;
}();

}  // namespace
