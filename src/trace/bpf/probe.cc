// libbpf must not share a translation unit with libpcap: struct bpf_insn is another thing in each.
#include "trace/bpf/probe.h"
#include "base/format.h"
#include "calls/call.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <optional>

#include "base/side_by_side.h"
#include "base/unique_fd.h"
#include "calls/call.h"
#include "calls/operation_table.h"
#include "trace/bpf/events/event_rings.h"
#include "trace/bpf/hooks.h"
#include "trace/bpf/kernel/kernel_types.h"
#include "trace/bpf/probe.skel.h"
#include "trace/bpf/program_loader.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace tcpwhy::trace {
namespace {

// Tests have a build of the program of which some tracing programs are such as every kernel refuses: those that this variable names.
bool is_spoilt_here([[maybe_unused]] std::string_view program) {
#ifdef TCPWHY_SPOILT_HOOKS
  const char* names = getenv("TCPWHY_SPOILT_HOOKS");
  return names != nullptr && (" " + std::string(names) + " ").contains(" " + std::string(program) + " ");
#else
  return false;
#endif
}

bool is_named(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_asked_for(const Hook& hook, const ProbeOptions& options) {
  switch (hook.use) {
    case HookUse::calls: return options.calls;
    case HookUse::segments: return options.segments;
    case HookUse::drops: return options.drops;
    case HookUse::always: break;
  }
  return true;
}

// What libbpf says while one of these lives; its printer takes no context.
class LibbpfWords {
 public:
  LibbpfWords() {
    listening_ = &text_;
    libbpf_set_print(keep);
  }
  LibbpfWords(const LibbpfWords&) = delete;
  LibbpfWords& operator=(const LibbpfWords&) = delete;
  ~LibbpfWords() { listening_ = nullptr; }

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  static int keep(libbpf_print_level level, const char* format, va_list arguments) {
    if (level == LIBBPF_DEBUG || listening_ == nullptr) return 0;
    char line[512];
    const int length = vsnprintf(line, sizeof line, format, arguments);
    const std::lock_guard one_at_a_time(mutex_);
    if (listening_->size() < 16384) *listening_ += line;
    return length;
  }

  static inline std::string* listening_ = nullptr;
  static inline std::mutex mutex_;
  std::string text_;
};

__u8 direct_of(const calls::CallRow& row) {
  switch (row.effect) {
    case calls::Effect::connects: return PROBE_DIRECT_CONNECT;
    case calls::Effect::shuts: return PROBE_DIRECT_SHUTDOWN;
    case calls::Effect::closes: return row.fd_range ? PROBE_NOT_DIRECT : PROBE_DIRECT_CLOSE;
    case calls::Effect::sends: return PROBE_DIRECT_SEND;
    default: return PROBE_NOT_DIRECT;
  }
}

__u8 closes_of(const calls::CallRow& row) {
  if (!row.is_closing()) return PROBE_CLOSES_NONE;
  if (row.closes_several()) return PROBE_CLOSES_SEVERAL;
  return row.closes_another ? PROBE_CLOSES_ANOTHER : PROBE_CLOSES_ITS_OWN;
}

probe_syscall settings_of(const calls::CallRow& row) {
  probe_syscall made{};
  made.wanted = 1;
  made.only_on_tcp = row.only_on_tcp && !row.fd_range;
  made.wants_stack = row.wants_stack;
  made.closes = closes_of(row);
  made.fd_argument = row.fd_range ? std::int8_t{-1} : row.fd_argument;
  made.second_fd_argument = row.second_fd_argument;
  made.result_is_fd = row.brings_socket();
  made.direct = direct_of(row);
  made.told_at_return = row.told_at_return;
  made.passes = row.number == SYS_sendmsg, made.is_passed = row.number == SYS_recvmsg;
  made.piece_count = std::min<std::uint8_t>(row.piece_count, PROBE_PIECES);
  for (std::size_t i = 0; i < made.piece_count; ++i) made.piece[i] = calls::layout_of(row.pieces.at(i));
  return made;
}

std::optional<__u32> reason_number(const std::string& name) {
  const auto names = kernel_enum("skb_drop_reason", "SKB_");
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<__u32>(found - names.begin());
}

struct SkeletonDeleter {
  void operator()(::probe* skeleton) const { probe__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<::probe, SkeletonDeleter>;

// How many rings, a power of two, and the bytes of each.
struct RingSizes {
  std::uint32_t count, bytes;
};
RingSizes ring_sizes(std::uint32_t bytes_together) {
  constexpr std::uint32_t least_bytes = 1U << 20;
  const auto processors = static_cast<std::uint32_t>(std::max(sysconf(_SC_NPROCESSORS_ONLN), 1L));
  const std::uint32_t count = std::min(std::bit_ceil(processors), std::uint32_t{PROBE_RINGS});
  return {count, std::max(bytes_together / count, std::min(bytes_together, least_bytes))};
}

}  // namespace

struct Probe::Impl {
  Skeleton skeleton;
  LoadedPrograms programs;
  std::vector<base::UniqueFd> attached;
  std::optional<EventRings> rings;
  std::future<base::Status> rings_are_there;  // the kernel's half has them
  std::vector<MissingHook> missing;
  bool detached = false;
  std::uint64_t skipped_at_detach = 0;

  [[nodiscard]] std::uint64_t skipped() const;
};

static bpf_prog_info info_of(const LoadedProgram& program) {
  bpf_prog_info info{};
  __u32 length = sizeof info;
  if (!program.fd.valid() || bpf_obj_get_info_by_fd(program.fd.get(), &info, &length) != 0) return {};
  return info;
}

std::uint64_t Probe::Impl::skipped() const {
  std::uint64_t sum = 0;
  for (const auto& [name, program] : programs) sum += info_of(program).recursion_misses;
  return sum;
}

Probe::Probe(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Probe::Probe(Probe&&) noexcept = default;
Probe& Probe::operator=(Probe&&) noexcept = default;
Probe::~Probe() = default;

namespace {

// Whether the kernel has what the program hangs on, as it needs it.
bool fits(const HookProgram& program, const ProbeOptions& options) {
  if (is_named(options.without, program.name)) return false;
  if (!program.beside.empty() && tracepoint_arguments(program.beside) < 0) return false;
  const int arguments = tracepoint_arguments(program.tracepoint);
  return program.least_arguments <= arguments && arguments <= program.most_arguments;
}

bool may_be_wanted(std::string_view name, const ProbeOptions& options) {
  const HookPlace place = find_hook(name);
  return place.hook != nullptr && is_asked_for(*place.hook, options) &&
         fits(place.hook->programs[place.program], options);
}

// Of those that may be wanted: whether all before it in the row of its hook have been refused.
bool is_due(std::string_view name, const ProbeOptions& options, const LoadedPrograms& loaded) {
  const HookPlace place = find_hook(name);
  return std::ranges::none_of(place.hook->programs.first(place.program), [&](const HookProgram& better) {
    const auto found = loaded.find(better.name);
    return found == loaded.end() ? fits(better, options) : found->second.fd.valid();
  });
}

// errno of a refusal; 0: some are loaded.
int why_none_is_loaded(const LoadedPrograms& loaded) {
  int error = ENOENT;
  for (const auto& [name, program] : loaded) {
    if (program.fd.valid()) return 0;
    error = program.error;
  }
  return error;
}

// What the loading has left unknown.
std::vector<MissingHook> find_missing(const ProbeOptions& options, const LoadedPrograms& loaded) {
  std::vector<MissingHook> missing;
  for (const Hook& hook : hooks()) {
    if (!is_asked_for(hook, options)) continue;
    MissingHook lack{.name = std::string(hook.programs.front().tracepoint), .loses = hook.tells};
    bool is_known = false;
    for (const HookProgram& program : hook.programs) {
      const auto found = loaded.find(program.name);
      if (found == loaded.end()) continue;
      is_known = found->second.fd.valid();
      if (is_known) {
        lack.loses = program.lacks;
        break;
      }
      lack.name = program.tracepoint, lack.refused = found->second.error, lack.words = base::both(found->second.words);
    }
    if (!lack.loses.empty()) missing.push_back(std::move(lack));
  }
  return missing;
}

std::string first_line(const std::string& words) {
  const std::size_t begin = words.find("libbpf: ") == std::string::npos ? 0 : words.find("libbpf: ") + 8;
  return words.substr(begin, words.find('\n', begin) - begin);
}

base::Error cannot_load(int error, const LibbpfWords& words) {
  if (error == EPERM)
    return {
        base::ErrorKind::privilege,
        {"the kernel does not let this user load BPF programs", "内核不允许当前用户加载 BPF 程序"},
        {"run as root, or give the program the capabilities BPF and PERFMON: setcap cap_bpf,cap_perfmon,cap_net_raw+ep",
         "请以 root 身份运行，或赋予程序 BPF 和 PERFMON 能力：setcap cap_bpf,cap_perfmon,cap_net_raw+ep"}};
  if (kernel_types() == nullptr)
    return {base::ErrorKind::privilege,
            {"this kernel tells nothing of its types (/sys/kernel/btf/vmlinux is not there)",
             "本内核不提供类型信息（没有 /sys/kernel/btf/vmlinux）"},
            {"it must be built with CONFIG_DEBUG_INFO_BTF; without it programs are watched by ptrace",
             "构建内核时须启用 CONFIG_DEBUG_INFO_BTF；否则改用 ptrace 观察程序"}};
  return {base::ErrorKind::privilege,
          base::format({"the BPF probe cannot be loaded: {}", "无法加载 BPF 探针：{}"}, strerror(error)),
          base::both(first_line(words.text()))};
}

base::Result<std::vector<base::UniqueFd>> make_rings(const RingSizes& sizes, const LibbpfWords& words) {
  std::vector<base::UniqueFd> rings;
  for (std::uint32_t i = 0; i < sizes.count; ++i) {
    rings.emplace_back(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "event_ring", 0, 0, sizes.bytes, nullptr));
    if (rings.back().valid()) continue;
    if (errno == EPERM) return std::unexpected(cannot_load(errno, words));
    return base::fail_errno({"the probe's ring buffers", "探针的环形缓冲区"});
  }
  return rings;
}

// The programs find theirs by their processor. After each of them the kernel waits until no program can be using the one before.
base::Status hand_over(std::span<const int> rings, int map) {
  std::vector<int> errors(rings.size());
  base::side_by_side(rings.size(), rings.size(), [&](std::size_t i) {
    const auto place = static_cast<__u32>(i);
    if (bpf_map_update_elem(map, &place, &rings[i], BPF_ANY) != 0) errors[i] = errno;
  });
  for (const int error : errors)
    if (error != 0) return base::fail_errno({"the probe's ring buffers", "探针的环形缓冲区"}, error);
  return {};
}

// What the programs find when they are loaded.
void set_up(::probe& skeleton, const ProbeOptions& options, const RingSizes& rings) {
  auto& settings = *skeleton.rodata;
  settings.only_interesting = options.only_interesting;
  settings.excluded_netns = options.excluded_netns;
  settings.terse = options.terse;
  settings.lives = options.lives;
  settings.asked_cgroup = options.cgroup.id;
  settings.asked_cgroup_level = options.cgroup.level;
  settings.counted_netns = options.counted_netns;
  // tcp_v4_send_reset() traces all resets since it has a reason for them (6.10).
  settings.resets_by_segment = tracepoint_arguments("tcp_send_reset") < 3;
  settings.user_stacks_a_second = options.user_stacks_a_second;
  settings.last_ring = rings.count - 1;
  settings.wake_above = rings.bytes / 4;
  if (const auto number = reason_number("DROP_REASON_NOT_SPECIFIED")) settings.reason_not_specified = *number;
  if (const auto number = reason_number("CONSUMED")) settings.reason_consumed = *number;
  if (const auto number = reason_number("DROP_REASON_QUEUE_PURGE")) settings.reason_queue_purge = *number;
  if (!options.calls) return;
  for (const calls::CallRow& row : calls::traced_calls())
    if (row.number < PROBE_SYSCALLS) skeleton.bss->syscalls[row.number] = settings_of(row);
  for (const calls::OperationRow& row : calls::operation_table())
    if (row.opcode < PROBE_OPERATIONS) skeleton.bss->operation_rows[row.opcode] = settings_of(row.call);
}

}  // namespace

ProbeOptions probe_of_trace() { return {.counted_netns = current_netns_cookie()}; }
ProbeOptions probe_of_watch() {
  return {.calls = false, .only_interesting = false, .segments = false, .drops = false, .lives = true};
}
ProbeOptions probe_of_lab() {
  return {.calls = false,
          .only_interesting = false,
          .terse = false,
          .excluded_netns = current_netns_cookie(),
          .ring_bytes = 8U << 20,
          .processes = false};
}

namespace {

// Tracepoints number processes, and tell the time, as the initial namespaces do (pid_namespaces(7), time_namespaces(7)): elsewhere what
// they say would be of others, or of another time. Their inodes are the same on every machine (include/linux/nsfs.h).
base::Status is_where_the_kernel_counts(const ProbeOptions& options) {
  constexpr ino_t initial_time = 0xefff'fffaU, initial_pid = 0xefff'fffcU;
  const auto elsewhere = [](const char* name, ino_t initial) {
    struct stat told{};
    return stat(name, &told) == 0 && told.st_ino != initial;
  };
  if (options.processes && elsewhere("/proc/self/ns/pid", initial_pid))
    return base::fail(
        base::ErrorKind::privilege,
        {"the kernel's tracepoints number processes otherwise than this PID namespace",
         "内核跟踪点的进程编号与当前 PID 命名空间不同"},
        {"run it on the host itself; trace does without them, by ptrace", "请在宿主机上运行；trace 可改用 ptrace"});
  if (elsewhere("/proc/self/ns/time", initial_time))
    return base::fail(
        base::ErrorKind::privilege,
        {"the kernel's tracepoints have other times than this time namespace",
         "内核跟踪点的时间与当前时间命名空间不同"},
        {"run it on the host itself; trace does without them, by ptrace", "请在宿主机上运行；trace 可改用 ptrace"});
  return {};
}

}  // namespace

base::Result<Probe> Probe::open(const ProbeOptions& options) {
  const auto page = static_cast<std::uint32_t>(sysconf(_SC_PAGESIZE));
  if (!std::has_single_bit(options.ring_bytes) || options.ring_bytes < page)
    return base::fail(
        base::ErrorKind::usage,
        base::format({"ring buffers of {} bytes: it must be a power of two, and a page ({} bytes) at least",
                      "环形缓冲区 {} 字节：必须是 2 的幂，且不小于一页（{} 字节）"},
                     options.ring_bytes, page));
  if (auto here = is_where_the_kernel_counts(options); !here) return std::unexpected(here.error());
  const LibbpfWords words;
  auto impl = std::make_unique<Impl>();
  ProgramLoader loader([&](std::string_view name) { return is_due(name, options, loader.outcome()); },
                       [&](std::string_view name) { return is_named(options.refused, name) || is_spoilt_here(name); });
  impl->skeleton.reset(probe__open());
  if (!impl->skeleton) return std::unexpected(cannot_load(errno, words));
  auto& skeleton = *impl->skeleton;
  std::size_t asked_for = 0;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton.obj) {
    const bool wanted = may_be_wanted(bpf_program__name(program), options);
    bpf_program__set_autoload(program, wanted);
    if (wanted) ++asked_for;
  }
  loader.expect(asked_for);
  const RingSizes sizes = ring_sizes(options.ring_bytes);
  set_up(skeleton, options, sizes);
  auto rings = make_rings(sizes, words);
  if (!rings) return std::unexpected(rings.error());
  bpf_map__set_inner_map_fd(skeleton.maps.rings, rings->front().get());
  if (const int status = probe__load(&skeleton); status != 0) return std::unexpected(cannot_load(-status, words));
  impl->programs = loader.take();
  impl->missing = find_missing(options, impl->programs);
  if (const int error = why_none_is_loaded(impl->programs); error != 0)
    return std::unexpected(cannot_load(error, words));
  std::vector<int> ring_maps;
  for (const base::UniqueFd& ring : *rings) ring_maps.push_back(ring.get());
  auto reader = EventRings::open(std::move(*rings), sizes.bytes);
  if (!reader) return std::unexpected(reader.error());
  impl->rings.emplace(std::move(*reader));
  impl->rings_are_there = std::async(
      std::launch::async,
      [ring_maps = std::move(ring_maps), map = bpf_map__fd(skeleton.maps.rings)] { return hand_over(ring_maps, map); });
  return Probe(std::move(impl));
}

base::Status Probe::attach() {
  const LibbpfWords words;
  if (auto handed = impl_->rings_are_there.get(); !handed) return handed;
  for (auto& [name, program] : impl_->programs) {
    if (!program.fd.valid()) continue;
    auto link = attach_program(program.fd.get());
    if (link) {
      impl_->attached.push_back(std::move(*link));
      continue;
    }
    const HookPlace place = find_hook(name);
    impl_->missing.push_back({.name = std::string(place.hook->programs[place.program].tracepoint),
                              .loses = place.hook->tells,
                              .refused = link.error(),
                              .words = {"it could not be attached to its tracepoint", "无法挂载到其跟踪点"}});
    program.fd.reset();
  }
  if (impl_->attached.empty())
    return base::fail(base::ErrorKind::privilege,
                      {"none of the probe's programs can be attached", "探针的程序一个也无法挂载"},
                      base::both(first_line(words.text())));
  return {};
}

void Probe::detach() {
  impl_->skipped_at_detach = impl_->skipped();
  impl_->attached.clear();
  impl_->detached = true;
}

void Probe::want_path_samples(std::uint32_t count) { impl_->skeleton->bss->samples_wanted = static_cast<__s32>(count); }

void Probe::know_path(const probe_path& path) {
  auto& bss = *impl_->skeleton->bss;
  if (bss.path_count >= PROBE_PATHS) return;
  bss.paths[bss.path_count] = path;
  // Whoever sees the count must see the path.
  std::atomic_ref(bss.path_count).store(bss.path_count + 1, std::memory_order_release);
}

base::Status Probe::follow(pid_t process) {
  const auto key = static_cast<__u32>(process);
  const __u8 one = 1;
  if (bpf_map__update_elem(impl_->skeleton->maps.traced, &key, sizeof key, &one, sizeof one, BPF_ANY) != 0)
    return base::fail_errno({"the probe's table of processes", "探针的进程表"});
  return {};
}

base::Status Probe::follow_port(std::uint64_t netns, std::uint16_t port) {
  const probe_port_key key{.netns = netns, .port = port, .reserved = 0};
  const __u8 one = 1;
  if (bpf_map__update_elem(impl_->skeleton->maps.ports, &key, sizeof key, &one, sizeof one, BPF_ANY) != 0)
    return base::fail_errno({"the probe's table of ports", "探针的端口表"});
  return {};
}

base::Status Probe::follow_flow(const wire::SocketAddress& local, const wire::SocketAddress& remote) {
  // As flow_key() of the kernel's half makes it: by port, then by the address's bytes as two numbers of this machine.
  struct End {
    std::uint16_t port;
    std::array<__u64, 2> words;
    auto operator<=>(const End&) const = default;
  };
  const auto end = [](const wire::SocketAddress& address) {
    End made{address.port, {}};
    const auto ip = address.ip.unmapped();
    std::memcpy(made.words.data(), ip.bytes.data(), ip.bytes.size());
    return made;
  };
  End low = end(local), high = end(remote);
  if (high < low) std::swap(low, high);
  probe_flow_key key{};
  std::memcpy(key.low, low.words.data(), sizeof key.low);
  std::memcpy(key.high, high.words.data(), sizeof key.high);
  key.low_port = low.port, key.high_port = high.port;
  const __u8 one = 1;
  if (bpf_map__update_elem(impl_->skeleton->maps.flows, &key, sizeof key, &one, sizeof one, BPF_ANY) != 0)
    return base::fail_errno({"the probe's table of connections", "探针的连接表"});
  return {};
}

int Probe::fd() const { return impl_->rings->fd(); }
double Probe::fullness() const { return impl_->rings->fullness(); }

std::size_t Probe::consume(const std::function<void(std::span<const std::byte>)>& on_record, base::Duration hold_back) {
  if (impl_->detached) return impl_->rings->consume(EventRings::no_end, on_record);
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // as bpf_ktime_get_ns()
  const auto now_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
  return impl_->rings->consume(now_ns - static_cast<std::uint64_t>(hold_back.count()), on_record);
}

std::vector<probe_call> Probe::unfinished_calls() const {
  std::vector<probe_call> found;
  const auto add = [&found](__u32 thread, const call_state& state) {
    if (state.number == PROBE_NO_CALL || state.told != 0 || state.held != 0) return;
    probe_call call{};
    call.head.at_ns = call.call = state.id;
    call.head.kind = PROBE_CALL_ENTERED;
    call.head.tid = thread, call.head.tgid = state.tgid;
    call.number = state.number;
    call.socket.pointer = state.socket;
    std::ranges::copy(state.arguments, call.arguments);
    found.push_back(call);
  };
  for (const call_place& place : impl_->skeleton->bss->places)
    if (place.tid != 0) add(place.tid, place.state);
  const int map = bpf_map__fd(impl_->skeleton->maps.calls);
  __u32 thread = 0, next = 0;
  for (const __u32* at = nullptr; bpf_map_get_next_key(map, at, &next) == 0; at = &thread) {
    thread = next;
    call_state state{};
    if (bpf_map_lookup_elem(map, &thread, &state) == 0) add(thread, state);
  }
  return found;
}

std::uint64_t Probe::lost_records() const { return impl_->skeleton->bss->counters.lost_events; }
std::uint64_t Probe::skipped_stacks() const { return impl_->skeleton->bss->counters.skipped_stacks; }
ProbeCounts Probe::counted() const {
  const auto& counters = impl_->skeleton->bss->counters;
  return {counters.resets_sent, counters.established_ended};
}
std::uint64_t Probe::skipped_runs() const { return std::max(impl_->skipped_at_detach, impl_->skipped()); }
const std::vector<MissingHook>& Probe::missing() const { return impl_->missing; }
recording::Observations Probe::observes() const {
  using enum recording::Observation;
  recording::Observations seen;
  if (has("on_sys_enter") && has("on_sys_exit")) seen.add(calls_bpf);
  if (has("on_state")) seen.add(states_kernel);
  if (has("on_socket_error")) seen.add(socket_errors);
  if (has("on_drop") || has("on_drop_without_socket")) seen.add(drops);
  if (has("on_reset_sent")) seen.add(resets_reason);
  return seen;
}
std::vector<Lack> Probe::lacks() const {
  std::vector<Lack> lacks;
  base::OwnedText not_told;
  for (const MissingHook& hook : impl_->missing) {
    if (hook.refused == 0)
      not_told.join({", ", "、"}, hook.loses);
    else
      lacks.push_back({base::format({"the kernel refuses the probe's program on tracepoint {} ({}); not known: {}",
                                     "内核拒绝了跟踪点 {} 上的探针程序（{}）；因此不知道：{}"},
                                    hook.name, strerror(hook.refused), hook.loses),
                       hook.words});
  }
  if (!not_told.empty())
    lacks.push_back({base::format({"this kernel does not tell: {}", "本内核不提供：{}"}, not_told), {}});
  return lacks;
}
std::map<std::string, std::uint32_t> Probe::verified_instructions() const {
  std::map<std::string, std::uint32_t> counts;
  for (const auto& [name, program] : impl_->programs)
    if (program.fd.valid()) counts.emplace(name, info_of(program).verified_insns);
  return counts;
}
bool Probe::has(std::string_view program) const {
  const auto found = impl_->programs.find(program);
  return found != impl_->programs.end() && found->second.fd.valid();
}

base::Duration wall_minus_monotonic() {
  // The narrowest of a few pairs: between the two readings this thread may be interrupted.
  base::Duration best{}, narrowest = base::Duration::max();
  const auto ns = [](clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return base::Duration(std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec);
  };
  for (int i = 0; i < 5; ++i) {
    const auto before = ns(CLOCK_MONOTONIC), wall = ns(CLOCK_REALTIME), after = ns(CLOCK_MONOTONIC);
    if (after - before >= narrowest) continue;
    narrowest = after - before;
    best = wall - (before + (after - before) / 2);
  }
  return best;
}

std::uint64_t current_netns_cookie() {
  const base::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  if (!socket.valid() || getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) return 0;
  return cookie;
}

}  // namespace tcpwhy::trace
