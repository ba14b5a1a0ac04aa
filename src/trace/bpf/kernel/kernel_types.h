// The running kernel's own types (BTF, /sys/kernel/btf/vmlinux), read once.
#pragma once

#include <string>
#include <vector>

struct btf;

namespace tcpwhy::trace {

// Null where the kernel tells nothing of them. Lives as long as the program.
const btf* kernel_types();

// The enumerators of one of its enums, by value, without `prefix`. Empty where there is none.
std::vector<std::string> kernel_enum(const std::string& name, const std::string& prefix);

}  // namespace tcpwhy::trace
