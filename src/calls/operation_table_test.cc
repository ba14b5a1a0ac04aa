// The lines of io_uring operations. That they are the kernel's: tests/live/uring_operations.py.
#include "calls/operation_table.h"

#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "calls/spelling/line.h"

namespace tcpwhy::calls {
namespace {

constexpr std::uint64_t text_at = 0x1000;

class OneText : public Memory {
 public:
  std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const override {
    if (address != text_at) return {};
    return {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(length, text.size()))};
  }
  std::string text;
};

struct Asked {
  std::uint8_t opcode;
  SyscallArguments fields;
  std::int64_t result;
  std::string memory = {};
};

std::string line(const Asked& asked) {
  const OperationRow* row = find_operation(asked.opcode);
  if (row == nullptr) return {};
  OneText memory;
  memory.text = asked.memory;
  const Entry entered = decode_operation_entry(*row, asked.fields, memory);
  const Return returned = decode_operation_return(*row, asked.fields, asked.result, memory);
  return returned_line(row->call.name, entered.arguments, returned.result, returned.error, returned.detail);
}

constexpr std::uint64_t rest(std::uint64_t ioprio, std::uint64_t flags, std::uint64_t file_index = 0) {
  return ioprio | flags << 16 | file_index << 32;
}

TEST(Operations, are_spelled_as_the_call_that_does_the_same) {
  EXPECT_EQ(line({IORING_OP_SEND, {5, text_at, 5, MSG_NOSIGNAL, 0, 0}, 5, "hello"}),
            R"(send(5, "hello", 5, MSG_NOSIGNAL) = 5)");
  EXPECT_EQ(line({IORING_OP_RECV, {5, text_at, 64, 0, 0, 0}, 2, "hi"}), R"(recv(5, "hi", 64, 0) = 2)");
  EXPECT_EQ(line({IORING_OP_RECV, {5, text_at, 64, 0, 0, 0}, -ECANCELED}),
            "recv(5, ..., 64, 0) = -1 ECANCELED (Operation canceled)");
  EXPECT_EQ(line({IORING_OP_SHUTDOWN, {5, 0, SHUT_WR, 0, 0, 0}, 0}), "shutdown(5, SHUT_WR) = 0");
  EXPECT_EQ(line({IORING_OP_SPLICE, {7, ~0ULL, 64, 0, ~0ULL, rest(0, 0, 5)}, 64}), "splice(5, -1, 7, -1, 64, 0) = 64");
  EXPECT_EQ(line({IORING_OP_POLL_ADD, {5, 0, 0, POLLIN, 0, 0}, POLLIN | POLLHUP}),
            "poll_add(5, POLLIN) = 17 (POLLIN|POLLHUP)");
  EXPECT_EQ(line({IORING_OP_SOCKET, {AF_INET, 0, 0, 0, SOCK_STREAM, 0}, 4}),
            "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4");
}

TEST(Operations, have_their_flags_behind_their_arguments) {
  EXPECT_EQ(line({IORING_OP_SEND, {5, text_at, 1, 0, 0, rest(0, IOSQE_IO_LINK | IOSQE_ASYNC)}, 1, "x"}),
            R"(send(5, "x", 1, 0, IOSQE_IO_LINK|IOSQE_ASYNC) = 1)");
  EXPECT_EQ(line({IORING_OP_ACCEPT, {3, 0, 0, SOCK_CLOEXEC, 0, rest(1, 0)}, 6}),
            "accept(3, NULL, NULL, SOCK_CLOEXEC, IORING_ACCEPT_MULTISHOT) = 6");
}

TEST(Operations, on_registered_files_have_no_descriptor) {
  const Entry entered = decode_operation_entry(*find_operation(IORING_OP_RECV),
                                               {2, text_at, 8, 0, 0, rest(0, IOSQE_FIXED_FILE)}, OneText());
  EXPECT_FALSE(entered.fd);
  EXPECT_EQ(line({IORING_OP_CLOSE, {0, 0, 0, 0, 0, rest(0, 0, 4)}, 0}), "close(slot 3) = 0");
  const Return returned =
      decode_operation_return(*find_operation(IORING_OP_ACCEPT), {3, 0, 0, 0, 0, rest(0, 0, 2)}, 0, OneText());
  EXPECT_FALSE(returned.new_fd);
}

TEST(Operations, of_two_descriptors_have_the_one_that_they_act_on) {
  const OperationRow& splice = *find_operation(IORING_OP_SPLICE);
  const SyscallArguments fields = {7, ~0ULL, 64, 0, ~0ULL, rest(0, 0, 5)};
  EXPECT_EQ(decode_operation_entry(splice, fields, OneText()).fd, 7) << "into";
  EXPECT_EQ(decode_operation_entry(splice, fields, OneText(), true).fd, 5) << "from";
}

TEST(Operations, know_which_of_them_are_completed_again_and_again) {
  EXPECT_TRUE(is_multishot(*find_operation(IORING_OP_ACCEPT), {3, 0, 0, 0, 0, rest(1, 0)}));
  EXPECT_FALSE(is_multishot(*find_operation(IORING_OP_ACCEPT), {3, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(is_multishot(*find_operation(IORING_OP_RECV), {3, 0, 0, 0, 0, rest(2, 0)}));
  EXPECT_TRUE(is_multishot(*find_operation(IORING_OP_POLL_ADD), {3, 0, 1, POLLIN, 0, 0}));
  EXPECT_FALSE(is_multishot(*find_operation(IORING_OP_SEND_ZC), {3, 0, 0, 0, 0, rest(1, 0)}));
}

// The kernel's interface: the numbers of this system's header are those of the table.
TEST(Operations, have_the_numbers_of_the_kernel_s_header) {
  const std::pair<int, std::string_view> known[] = {{IORING_OP_READV, "readv"},
                                                    {IORING_OP_WRITEV, "writev"},
                                                    {IORING_OP_READ_FIXED, "read_fixed"},
                                                    {IORING_OP_SENDMSG, "sendmsg"},
                                                    {IORING_OP_RECVMSG, "recvmsg"},
                                                    {IORING_OP_CONNECT, "connect"},
                                                    {IORING_OP_READ, "read"},
                                                    {IORING_OP_WRITE, "write"},
                                                    {IORING_OP_TEE, "tee"},
                                                    {IORING_OP_SEND_ZC, "send_zc"},
                                                    {IORING_OP_SENDMSG_ZC, "sendmsg_zc"},
                                                    {IORING_OP_CLOSE, "close"},
                                                    {IORING_OP_WRITE_FIXED, "write_fixed"}};
  for (const auto& [opcode, name] : known) {
    const OperationRow* row = find_operation(static_cast<std::uint32_t>(opcode));
    ASSERT_NE(row, nullptr) << name;
    EXPECT_EQ(row->call.name, name);
  }
  EXPECT_EQ(find_operation(IORING_OP_NOP), nullptr);
  EXPECT_EQ(find_operation(1000), nullptr);
}

}  // namespace
}  // namespace tcpwhy::calls
