// Kernel evidence: the programs that trace, watch and lab load, tried as they load them; the kernel's types (BTF).
#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "base/format.h"
#include "base/result.h"
#include "doctor/probe.h"
#include "trace/bpf/probe.h"

namespace tcpwhy::doctor {
namespace {

std::optional<int> unprivileged_bpf_disabled() {
  std::ifstream file("/proc/sys/kernel/unprivileged_bpf_disabled");
  int value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

base::Result<trace::Probe> open_and_attach(const trace::ProbeOptions& options) {
  auto probe = trace::Probe::open(options);
  if (!probe) return probe;
  if (auto attached = probe->attach(); !attached) return std::unexpected(attached.error());
  return probe;
}

base::OwnedText words_of(const std::vector<trace::MissingHook>& missing) {
  base::OwnedText words;
  const auto add = [&words](const base::OwnedText& more) { words.join({"; ", "；"}, more); };
  for (const trace::MissingHook& hook : missing) {
    if (hook.refused == 0)
      add(base::format({"not told by this kernel: {}", "本内核不提供：{}"}, hook.loses));
    else
      add(base::format(
          {"the program on {} is refused ({}), so not known: {}", "{} 上的程序被拒绝 ({})，因此不知道：{}"}, hook.name,
          std::strerror(hook.refused), hook.loses));
  }
  return words;
}

// The probe as a command uses it.
Probe programs_of(std::string id, base::OwnedText title, base::OwnedText needed_for,
                  const base::Result<trace::Probe>& tried) {
  Probe probe{.id = std::move(id),
              .title = std::move(title),
              .answer = Answer::yes,
              .found = {"all its programs were loaded and attached", "全部程序已加载并挂上"},
              .needed_for = std::move(needed_for),
              .more = {}};
  if (tried && tried->missing().empty()) return probe;
  if (tried) {
    probe.answer = Answer::partly;
    probe.found = words_of(tried->missing());
    probe.more = {"a newer kernel; without it the same is derived from what else was seen",
                  "需要更新的内核；否则由其他所见推导"};
    return probe;
  }
  probe.answer = Answer::no;
  probe.found = tried.error().message;
  if (const auto disabled = unprivileged_bpf_disabled()) {
    const auto also = fmt::format(" (kernel.unprivileged_bpf_disabled = {})", *disabled);
    probe.found.en += also;
    probe.found.zh += also;
  }
  probe.more = {
      "sudo tcpwhy ..., or once: sudo setcap cap_bpf,cap_perfmon,cap_net_raw+ep PROGRAM; Linux 5.8 or newer",
      "sudo tcpwhy ...，或执行一次：sudo setcap cap_bpf,cap_perfmon,cap_net_raw+ep 程序；需要 Linux 5.8 或更新"};
  return probe;
}

constexpr const char* btf_path = "/sys/kernel/btf/vmlinux";

Probe kernel_types() {
  Probe probe{.id = "btf",
              .title = {"the kernel's types (BTF)", "内核类型信息 (BTF)"},
              .answer = Answer::yes,
              .found = {},
              .needed_for = {"BPF programs that fit this kernel; the names of reset and drop reasons",
                             "适配本内核的 BPF 程序；复位与丢包原因的名称"},
              .more = {}};
  std::ifstream file(btf_path, std::ios::binary);
  const std::string btf(std::istreambuf_iterator<char>(file), {});
  if (btf.size() > 24) {  // sizeof(struct btf_header), linux/btf.h
    probe.found.en = fmt::format("{}: {} KiB", btf_path, btf.size() / 1024);
    probe.found.zh = probe.found.en;
  } else {
    probe.answer = Answer::no;
    probe.found = {fmt::format("{} cannot be read", btf_path), fmt::format("无法读取 {}", btf_path)};
    probe.more = {"a kernel built with CONFIG_DEBUG_INFO_BTF", "需要以 CONFIG_DEBUG_INFO_BTF 编译的内核"};
  }
  return probe;
}

Probe reset_reasons(const base::Result<trace::Probe>& tried) {
  Probe probe{.id = "reset_reasons",
              .title = {"reasons of resets", "复位原因"},
              .answer = Answer::yes,
              .found = {"tracepoint tcp:tcp_send_reset hands one over, and it is read",
                        "跟踪点 tcp:tcp_send_reset 提供原因，并已读取"},
              .needed_for = {"why a reset was sent, in the kernel's own word", "由内核亲自说明为何发送复位"},
              .more = {}};
  if (tried && tried->has("on_reset_sent")) return probe;
  probe.answer = Answer::no;
  probe.found =
      tried ? base::OwnedText{"tracepoint tcp:tcp_send_reset hands none over", "跟踪点 tcp:tcp_send_reset 不提供"}
            : base::OwnedText{"not to be had without BPF", "没有 BPF 就无法得到"};
  probe.more = {
      "root, and Linux 6.10 or newer; as root on older kernels the kernel's call stack at the reset tells the cause",
      "需要 root 和 Linux 6.10 或更新；在旧内核上，root 可由复位时的内核调用栈得知原因"};
  return probe;
}

}  // namespace

void examine_bpf(std::vector<Probe>& probes) {
  const auto trace = open_and_attach(trace::probe_of_trace());
  probes.push_back(programs_of(
      "bpf", {"BPF for trace", "trace 用的 BPF"},
      {"trace: causes observed in the kernel itself, not derived", "trace：由内核直接观察到的原因，而非推导"}, trace));
  probes.push_back(
      programs_of("bpf_watch", {"BPF for watch", "watch 用的 BPF"},
                  {"watch: connections of all programs, and why they ended", "watch：所有程序的连接及其结束原因"},
                  open_and_attach(trace::probe_of_watch())));
  probes.push_back(
      programs_of("bpf_lab", {"BPF for lab", "lab 用的 BPF"},
                  {"lab: causes observed in the kernel itself, not derived", "lab：由内核直接观察到的原因，而非推导"},
                  open_and_attach(trace::probe_of_lab())));
  probes.push_back(kernel_types());
  probes.push_back(reset_reasons(trace));
}

}  // namespace tcpwhy::doctor
