// libbpf must not share a translation unit with libpcap: struct bpf_insn is another thing in each.
#include "trace/bpf/kernel/kernel_types.h"

#include <bpf/btf.h>

#include <memory>
#include <string_view>

namespace tcpwhy::trace {
namespace {

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};

}  // namespace

const btf* kernel_types() {
  static const std::unique_ptr<btf, BtfDeleter> types(btf__load_vmlinux_btf());
  return types.get();
}

std::vector<std::string> kernel_enum(const std::string& name, const std::string& prefix) {
  std::vector<std::string> names;
  const btf* types = kernel_types();
  if (types == nullptr) return names;
  const int id = btf__find_by_name_kind(types, name.c_str(), BTF_KIND_ENUM);
  if (id < 0) return names;
  const btf_type* type = btf__type_by_id(types, static_cast<__u32>(id));
  const struct btf_enum* row = ::btf_enum(type);
  for (int i = 0; i < btf_vlen(type); ++i, ++row) {
    if (row->val < 0 || row->val > 0xffff) continue;  // reasons of subsystems stand far away
    std::string_view text = btf__name_by_offset(types, row->name_off);
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    if (names.size() <= static_cast<std::size_t>(row->val)) names.resize(static_cast<std::size_t>(row->val) + 1);
    names[static_cast<std::size_t>(row->val)] = text;
  }
  return names;
}

}  // namespace tcpwhy::trace
