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
#include <span>
#include <utility>

#include "base/check.h"
#include "trace/bpf/kernel/kernel_types.h"

namespace tcpwhy::trace {
namespace {

constexpr std::string_view section_prefix = "tp_btf/";

constexpr bpf_insn put_zero{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};
constexpr bpf_insn leave{.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};
constexpr std::array empty_program{put_zero, leave};
constexpr std::array spoilt_program{leave};  // it returns what it has never set

// The type that stands for a tracepoint: a pointer to a function of what it hands over. 0: there is none.
__u32 type_of_tracepoint(std::string_view name) {
  const btf* types = kernel_types();
  if (types == nullptr) return 0;
  const int id = btf__find_by_name_kind(types, ("btf_trace_" + std::string(name)).c_str(), BTF_KIND_TYPEDEF);
  return id > 0 ? static_cast<__u32>(id) : 0;
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

LoadedProgram load_one(const bpf_program* program, std::span<const bpf_insn> instructions, bpf_prog_load_opts options) {
  LoadedProgram made;
  const std::string_view section = bpf_program__section_name(program);
  const std::string_view tracepoint = section.substr(std::min(section_prefix.size(), section.size()));
  options.expected_attach_type = BPF_TRACE_RAW_TP;
  options.attach_btf_id = type_of_tracepoint(tracepoint);
  if (options.attach_btf_id == 0) {
    made.error = ENOENT;
    made.words = "the kernel has no tracepoint " + std::string(tracepoint);
    return made;
  }
  const auto load = [&] {
    return bpf_prog_load(BPF_PROG_TYPE_TRACING, bpf_program__name(program), "GPL", instructions.data(),
                         instructions.size(), &options);
  };
  made.fd.reset(load());
  if (made.fd.valid()) return made;
  made.error = errno;
  // Once more, for the log. Old kernels keep its beginning where there is no room for all.
  std::string log(16U << 20U, '\0');
  options.log_level = 1, options.log_buf = log.data(), options.log_size = static_cast<__u32>(log.size());
  made.fd.reset(load());
  made.words = last_lines(std::string_view(log.c_str()));
  return made;
}

}  // namespace

struct ProgramLoader::Handler {
  static int prepare(bpf_program* program, bpf_prog_load_opts* options, long) {
    TCPWHY_CHECK(living_ != nullptr);
    ProgramLoader& loader = *living_;
    const std::string name = bpf_program__name(program);
    if (loader.is_wanted_(name)) {
      bpf_prog_load_opts own = *options;
      std::span instructions(bpf_program__insns(program), bpf_program__insn_cnt(program));
      if (loader.is_spoilt_(name)) {
        instructions = spoilt_program;
        own.func_info_cnt = own.line_info_cnt = 0;
      }
      loader.outcome_.emplace(name, load_one(program, instructions, own));
    }
    options->func_info_cnt = options->line_info_cnt = 0;  // they are about the instructions that go
    auto empty = empty_program;
    return bpf_program__set_insns(program, empty.data(), empty.size());
  }
};

ProgramLoader::ProgramLoader(Question is_wanted, Question is_spoilt)
    : is_wanted_(std::move(is_wanted)), is_spoilt_(std::move(is_spoilt)) {
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
