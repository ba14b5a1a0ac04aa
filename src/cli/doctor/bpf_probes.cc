// Kernel evidence: BPF programs, their types (BTF), and the tracepoint that tells why a reset was sent.
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/doctor/child.h"
#include "cli/doctor/probe.h"

namespace tcpwhy::cli::doctor {
namespace {

// glibc has no wrapper for bpf(2).
int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

// "return 0", the smallest program there is.
base::Result<base::UniqueFd> load_program(bpf_prog_type type) {
  std::array<bpf_insn, 2> instructions{};
  instructions[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  instructions[1].code = BPF_JMP | BPF_EXIT;
  constexpr char license[] = "GPL";
  bpf_attr attributes{};
  attributes.prog_type = type;
  attributes.insns = reinterpret_cast<std::uintptr_t>(instructions.data());
  attributes.insn_cnt = instructions.size();
  attributes.license = reinterpret_cast<std::uintptr_t>(license);
  const int fd = bpf(BPF_PROG_LOAD, attributes);
  if (fd < 0) return base::fail_errno("BPF_PROG_LOAD");
  return base::UniqueFd(fd);
}

base::Status make_ring_buffer() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_RINGBUF;
  attributes.max_entries = static_cast<__u32>(sysconf(_SC_PAGESIZE));
  const base::UniqueFd map(bpf(BPF_MAP_CREATE, attributes));
  if (!map.valid()) return base::fail_errno("a BPF ring buffer");
  return {};
}

base::Status attach(int program, const char* tracepoint) {
  bpf_attr attributes{};
  attributes.raw_tracepoint.name = reinterpret_cast<std::uintptr_t>(tracepoint);
  attributes.raw_tracepoint.prog_fd = static_cast<__u32>(program);
  const base::UniqueFd link(bpf(BPF_RAW_TRACEPOINT_OPEN, attributes));
  if (!link.valid()) return base::fail_errno("attaching a program to a tracepoint");
  return {};
}

std::optional<int> unprivileged_bpf_disabled() {
  std::ifstream file("/proc/sys/kernel/unprivileged_bpf_disabled");
  int value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

Probe bpf_programs() {
  Probe probe{.id = "bpf",
              .title = {"BPF", "BPF"},
              .answer = Answer::yes,
              .found = {"a program was loaded and attached to tcp_send_reset; a ring buffer was made",
                        "已加载程序并挂到 tcp_send_reset，已建立环形缓冲区"},
              .needed_for = {"causes observed in the kernel itself, not derived", "由内核直接观察到的原因，而非推导"},
              .more = {}};
  const auto program = load_program(BPF_PROG_TYPE_RAW_TRACEPOINT);
  base::Status tried = program ? make_ring_buffer() : base::Status(std::unexpected(program.error()));
  if (tried) tried = attach(program->get(), "tcp_send_reset");
  if (tried) return probe;
  probe.answer = program ? Answer::partly : Answer::no;
  probe.found = {tried.error().message, tried.error().message};
  if (const auto disabled = unprivileged_bpf_disabled()) {
    const auto also = fmt::format(" (kernel.unprivileged_bpf_disabled = {})", *disabled);
    probe.found.en += also;
    probe.found.zh += also;
  }
  if (tried.error().kind == base::ErrorKind::privilege) {
    probe.more = {"CAP_BPF and CAP_PERFMON: sudo tcpwhy ..., or once: sudo setcap cap_bpf,cap_perfmon+ep PROGRAM",
                  "需要 CAP_BPF 和 CAP_PERFMON：sudo tcpwhy ...，或执行一次：sudo setcap cap_bpf,cap_perfmon+ep 程序"};
  } else {
    probe.more = {"a kernel of 5.8 or newer, with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS",
                  "需要 5.8 或更新、以 CONFIG_BPF_SYSCALL 和 CONFIG_BPF_EVENTS 编译的内核"};
  }
  return probe;
}

constexpr const char* btf_path = "/sys/kernel/btf/vmlinux";

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Probe kernel_types(const std::optional<std::string>& btf) {
  Probe probe{.id = "btf",
              .title = {"the kernel's types (BTF)", "内核类型信息 (BTF)"},
              .answer = Answer::yes,
              .found = {},
              .needed_for = {"BPF programs that fit this kernel; the names of reset and drop reasons",
                             "适配本内核的 BPF 程序；复位与丢包原因的名称"},
              .more = {}};
  if (btf && btf->size() > 24) {  // sizeof(struct btf_header), linux/btf.h
    probe.found.en = fmt::format("{}: {} KiB", btf_path, btf->size() / 1024);
    probe.found.zh = probe.found.en;
  } else {
    probe.answer = Answer::no;
    probe.found = {fmt::format("{} cannot be read", btf_path), fmt::format("无法读取 {}", btf_path)};
    probe.more = {"a kernel built with CONFIG_DEBUG_INFO_BTF", "需要以 CONFIG_DEBUG_INFO_BTF 编译的内核"};
  }
  return probe;
}

// The tracepoint's format from tracefs, where it is mounted and may be read, else from a mount of its own that only a child sees.
std::string reset_format() {
  constexpr const char* event = "/events/tcp/tcp_send_reset/format";
  for (const char* root : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    if (const auto text = read_file(std::string(root) + event)) return *text;
  }
  return ask_in_child([event]() -> std::string {
    constexpr const char* place = "/sys/kernel/tracing";
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tracefs", place, "tracefs", 0, nullptr) != 0) {
      return {};
    }
    return read_file(std::string(place) + event).value_or("");
  });
}

Probe reset_reasons(const std::optional<std::string>& btf) {
  Probe probe{.id = "reset_reasons",
              .title = {"reasons of resets", "复位原因"},
              .answer = Answer::yes,
              .found = {},
              .needed_for = {"why a reset was sent, from the kernel itself", "由内核说明为何发送复位"},
              .more = {}};
  const auto format = reset_format();
  if (format.find("reason") != std::string::npos) {
    probe.found = {"the format of tracepoint tcp:tcp_send_reset has a field for it",
                   "跟踪点 tcp:tcp_send_reset 的格式中有该字段"};
    return probe;
  }
  // The enumeration's name among the strings of BTF, each of which ends in a NUL.
  constexpr std::string_view enumeration("\0sk_rst_reason\0", 15);
  if (format.empty() && btf && btf->find(enumeration) != std::string::npos) {
    probe.found = {"the kernel's types name enum sk_rst_reason; the tracepoint's format cannot be read here",
                   "内核类型信息中有 enum sk_rst_reason；此处无法读取跟踪点格式"};
    return probe;
  }
  probe.answer = Answer::no;
  probe.found = {"neither the tracepoint's format nor the kernel's types have one", "跟踪点格式和内核类型信息中都没有"};
  probe.more = {"Linux 6.10 or newer; without it the reason is derived", "需要 Linux 6.10 或更新；否则原因由推导得出"};
  return probe;
}

}  // namespace

void examine_bpf(std::vector<Probe>& probes) {
  const auto btf = read_file(btf_path);
  probes.push_back(bpf_programs());
  probes.push_back(kernel_types(btf));
  probes.push_back(reset_reasons(btf));
}

}  // namespace tcpwhy::cli::doctor
