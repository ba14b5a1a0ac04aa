#include <fmt/format.h>
#include <sys/utsname.h>

#include <ctime>

#include "doctor/probe.h"

namespace tcpwhy::doctor {
namespace {

Probe kernel_version() {
  utsname system{};
  uname(&system);
  const auto release = fmt::format("{} {} ({})", system.sysname, system.release, system.machine);
  return {.id = "kernel",
          .title = {"kernel", "内核"},
          .answer = Answer::fact,
          .found = {release, release},
          .needed_for = {"BPF needs 5.8, reset reasons 6.10; the lines below say what is really there",
                         "BPF 需要 5.8，复位原因需要 6.10；实际有什么以下面各行为准"},
          .more = {}};
}

// The coarse clocks move once a tick (time(7), clock_getres(2)), so their resolution is 1/HZ.
Probe tick() {
  timespec resolution{};
  clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
  const long tick_ns = resolution.tv_nsec;
  const double tick_ms = static_cast<double>(tick_ns) / 1e6;
  const long hz = tick_ns > 0 ? 1'000'000'000 / tick_ns : 0;
  const auto found = fmt::format("HZ = {} ({} ms)", hz, tick_ms);
  return {
      .id = "tick",
      .title = {"timer tick", "定时器节拍"},
      .answer = Answer::fact,
      .found = {found, found},
      .needed_for = {fmt::format("TCP's timers count ticks: a delayed ACK may leave {} ms later than its delay says",
                                 tick_ms),
                     fmt::format("TCP 定时器按节拍计数：延迟 ACK 可能比标称时间晚 {} ms 发出", tick_ms)},
      .more = {}};
}

}  // namespace

std::string_view name(Answer answer) {
  switch (answer) {
    case Answer::yes: return "yes";
    case Answer::no: return "no";
    case Answer::partly: return "partly";
    case Answer::fact: return "fact";
  }
  return "?";
}

void examine_kernel(std::vector<Probe>& probes) {
  probes.push_back(kernel_version());
  probes.push_back(tick());
}

std::vector<Probe> examine() {
  std::vector<Probe> probes;
  examine_kernel(probes);
  examine_namespaces(probes);
  examine_host(probes);
  examine_bpf(probes);
  examine_confinement(probes);
  return probes;
}

}  // namespace tcpwhy::doctor
