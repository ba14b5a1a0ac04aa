// libbpf must not share a translation unit with libpcap: struct bpf_insn is another thing in each.
#include "trace/bpf/program_loader.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/side_by_side.h"
#include "trace/bpf/kernel/kernel_types.h"

namespace tcpwhy::trace {
namespace {

constexpr std::string_view section_prefix = "tp_btf/";

constexpr bpf_insn put_zero{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};
constexpr bpf_insn leave{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};
constexpr std::array empty_program{put_zero, leave};
constexpr std::array spoilt_program{leave};  // it returns what it has never set

// By tracepoint, its type. To look one of them up in the kernel's types costs as much as to find them all.
using TracepointTypes = std::unordered_map<std::string_view, __u32>;
TracepointTypes find_tracepoint_types() {
  TracepointTypes found;
  const btf* types = kernel_types();
  const __u32 count = types == nullptr ? 0 : btf__type_cnt(types);
  for (__u32 id = 1; id < count; ++id) {
    const btf_type* type = btf__type_by_id(types, id);
    if (btf_kind(type) != BTF_KIND_TYPEDEF) continue;
    constexpr std::string_view prefix = "btf_trace_";
    const std::string_view name = btf__name_by_offset(types, type->name_off);
    if (name.starts_with(prefix)) found.emplace(name.substr(prefix.size()), id);
  }
  return found;
}

// The type that stands for a tracepoint: a pointer to a function of what it hands over. 0: there is none.
__u32 type_of_tracepoint(std::string_view name) {
  static const TracepointTypes types = find_tracepoint_types();
  const auto found = types.find(name);
  return found == types.end() ? 0 : found->second;
}

// What was said last, without the count of the verifier's work that ends it.
std::string last_lines(std::string_view log) {
  constexpr int lines = 12;
  while (log.ends_with('\n') || log.ends_with('\0')) log.remove_suffix(1);
  if (const auto last = log.rfind('\n');
      last != std::string_view::npos && log.substr(last + 1).starts_with("processed "))
    log = log.substr(0, last);
  std::size_t begin = log.size();
  for (int i = 0; i < lines && begin != std::string_view::npos && begin > 0; ++i) begin = log.rfind('\n', begin - 1);
  if (begin != std::string_view::npos && begin > 0) log = log.substr(begin + 1);
  return std::string(log);
}

}  // namespace

struct ProgramLoader::Prepared {
  std::string name, tracepoint;
  std::vector<bpf_insn> instructions;
  bpf_prog_load_opts options;  // what it points to is libbpf's, which keeps it as long as it loads the object

  [[nodiscard]] LoadedProgram load() const;
};

LoadedProgram ProgramLoader::Prepared::load() const {
  LoadedProgram made;
  bpf_prog_load_opts own = options;
  own.expected_attach_type = BPF_TRACE_RAW_TP;
  own.attach_btf_id = type_of_tracepoint(tracepoint);
  if (own.attach_btf_id == 0) {
    made.error = ENOENT;
    made.words = "the kernel has no tracepoint " + tracepoint;
    return made;
  }
  const auto load = [&] {
    return bpf_prog_load(BPF_PROG_TYPE_TRACING, name.c_str(), "GPL", instructions.data(), instructions.size(), &own);
  };
  made.fd.reset(load());
  if (made.fd.valid()) return made;
  made.error = errno;
  // Once more, for the log. Old kernels keep its beginning where there is no room for all.
  std::string log(16U << 20U, '\0');
  own.log_level = 1, own.log_buf = log.data(), own.log_size = static_cast<__u32>(log.size());
  made.fd.reset(load());
  made.words = last_lines(std::string_view(log.c_str()));
  return made;
}

struct ProgramLoader::Handler {
  static int prepare(bpf_program* program, bpf_prog_load_opts* options, long) {
    TCPWHY_CHECK(living_ != nullptr);
    ProgramLoader& loader = *living_;
    const std::string_view section = bpf_program__section_name(program);
    Prepared prepared{.name = bpf_program__name(program),
                      .tracepoint = std::string(section.substr(std::min(section_prefix.size(), section.size()))),
                      .instructions = {},
                      .options = *options};
    const std::span instructions(bpf_program__insns(program), bpf_program__insn_cnt(program));
    prepared.instructions.assign(instructions.begin(), instructions.end());
    if (loader.is_spoilt_(prepared.name)) {
      prepared.instructions.assign(spoilt_program.begin(), spoilt_program.end());
      prepared.options.func_info_cnt = prepared.options.line_info_cnt = 0;
    }
    loader.prepared_.push_back(std::move(prepared));
    if (loader.prepared_.size() == loader.expected_) loader.load_all();
    options->func_info_cnt = options->line_info_cnt = 0;  // they are about the instructions that go
    auto empty = empty_program;
    return bpf_program__set_insns(program, empty.data(), empty.size());
  }
};

// Those that stand in for others wait until it is known whether they must.
void ProgramLoader::load_all() {
  for (;;) {
    const auto rest = std::stable_partition(prepared_.begin(), prepared_.end(),
                                            [this](const Prepared& program) { return is_due_(program.name); });
    if (rest == prepared_.begin()) return;
    load_at_once({prepared_.begin(), rest});
    prepared_.erase(prepared_.begin(), rest);
  }
}

// Several threads take one after the other, the longest first: they keep the kernel's verifier the longest.
void ProgramLoader::load_at_once(std::span<const Prepared> programs) {
  std::vector<const Prepared*> order;
  for (const Prepared& program : programs) order.push_back(&program);
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [](const Prepared* program) { return program->instructions.size(); });
  std::vector<LoadedProgram> loaded(order.size());
  base::side_by_side(order.size(), std::max(std::thread::hardware_concurrency(), 1U),
                     [&](std::size_t i) { loaded[i] = order[i]->load(); });
  for (std::size_t i = 0; i < order.size(); ++i) outcome_.emplace(order[i]->name, std::move(loaded[i]));
}

ProgramLoader::ProgramLoader(Question is_due, Question is_spoilt)
    : is_due_(std::move(is_due)), is_spoilt_(std::move(is_spoilt)) {
  // For ever: libbpf 1.1 frees its table with the last handler that is taken back, and then goes on using it.
  static const int handler = [] {
    LIBBPF_OPTS(libbpf_prog_handler_opts, options, .prog_prepare_load_fn = Handler::prepare);
    // What libbpf loads itself is empty, and of the kind that asks for least.
    return libbpf_register_prog_handler("tp_btf+", BPF_PROG_TYPE_SOCKET_FILTER, bpf_attach_type{}, &options);
  }();
  TCPWHY_CHECK(handler >= 0 && living_ == nullptr);
  living_ = this;
}

ProgramLoader::~ProgramLoader() { living_ = nullptr; }

std::expected<base::UniqueFd, int> attach_program(int program) {
  base::UniqueFd link(bpf_raw_tracepoint_open(nullptr, program));
  if (!link.valid()) return std::unexpected(errno);
  return link;
}

int tracepoint_arguments(std::string_view name) {
  const btf* types = kernel_types();
  const __u32 id = type_of_tracepoint(name);
  if (id == 0) return -1;
  const btf_type* type = btf__type_by_id(types, btf__type_by_id(types, id)->type);  // the pointer
  if (type == nullptr || btf_kind(type) != BTF_KIND_PTR) return -1;
  type = btf__type_by_id(types, type->type);
  if (type == nullptr || btf_kind(type) != BTF_KIND_FUNC_PROTO) return -1;
  return btf_vlen(type) - 1;  // the first is the tracepoint's own data
}

}  // namespace tcpwhy::trace
