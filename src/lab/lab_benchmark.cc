// How long the whole catalogue takes, beside what it cannot be faster than: its slowest experiment alone, which waits for the
// kernel's own timers (tcp_fin_timeout is a second at least). The ratio says what running side by side costs.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "lab/lab.h"

namespace tcpwhy::lab {
namespace {

constexpr std::string_view slowest = "5-send-after-peer-close/after-fin-timeout-nobody-listens";

double seconds(const std::vector<Scenario>& scenarios, benchmark::State& state) {
  const auto begin = base::MonotonicClock::now();
  const auto outcomes = run(scenarios, {}, [](const Outcome&) {});
  const auto took = std::chrono::duration<double>(base::MonotonicClock::now() - begin).count();
  for (const Outcome& outcome : outcomes)
    if (outcome.error) state.SkipWithError((outcome.scenario.name + ": " + outcome.error->message.en).c_str());
  return took;
}

void whole_catalogue(benchmark::State& state) {
  const auto all = builtin_scenarios();
  std::vector<Scenario> one;
  std::ranges::copy_if(all, std::back_inserter(one), [](const Scenario& s) { return s.name == slowest; });
  double catalogue = 0, alone = 0;
  for (auto _ : state) {
    const double took = seconds(all, state);
    state.SetIterationTime(took);
    catalogue += took;
    alone += seconds(one, state);
  }
  state.counters["experiments"] = static_cast<double>(all.size());
  state.counters["ratio_to_slowest_alone"] = catalogue / alone;
}
BENCHMARK(whole_catalogue)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);

}  // namespace
}  // namespace tcpwhy::lab
