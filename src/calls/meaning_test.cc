// A call's spelling, read back into what it means; and that no payload changes it.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <tuple>

#include "calls/call.h"

namespace tcpwhy::calls {
namespace {

TEST(Meaning, of_what_sends_and_receives_has_its_flags) {
  EXPECT_TRUE(meaning_of("send", "4, \"hello\", 5, MSG_NOSIGNAL|MSG_DONTWAIT", "").has(MSG_NOSIGNAL));
  EXPECT_FALSE(meaning_of("send", "4, \"hello\", 5, MSG_DONTWAIT", "").has(MSG_NOSIGNAL));
  EXPECT_TRUE(meaning_of("sendto", "4, \"hello\", 5, MSG_FASTOPEN, {sa_family=AF_INET, sin_port=htons(1)}, 16", "")
                  .has(MSG_FASTOPEN));
  EXPECT_TRUE(meaning_of("recvfrom", "4, ..., 10, MSG_PEEK|0x80000000, NULL, NULL", "\"x\"").has(MSG_PEEK));
  EXPECT_TRUE(
      meaning_of("sendmsg", "4, {msg_name=NULL, msg_iov=[{iov_base=\"a\", iov_len=1}]}, MSG_OOB", "").has(MSG_OOB));
  EXPECT_TRUE(meaning_of("send", "4, \"hello\", 5, 0x4000 /* MSG_??? */", "").has(0x4000));
  EXPECT_EQ(meaning_of("write", "4, \"x\", 1", "").effect, Effect::sends);
  EXPECT_EQ(meaning_of("preadv2", "4, ..., 1, -1, 0", "").effect, Effect::receives);
}

// Every word that means something where it is no payload.
TEST(Meaning, is_the_same_whatever_the_payload_says) {
  for (const std::string word : {"MSG_NOSIGNAL", "MSG_PEEK|MSG_OOB", "\\\", 5, MSG_NOSIGNAL", "cmsg_type=SCM_RIGHTS",
                                 "\\\\", "l_linger=0, l_onoff=1", "SHUT_RDWR", "}], 1, MSG_MORE", "msg_len=7"}) {
    EXPECT_EQ(meaning_of("send", "4, \"" + word + "\", 5, 0", "").as<Transfer>()->flags, 0U) << word;
    EXPECT_EQ(meaning_of("send", "4, \"" + word + "\"..., 5, MSG_MORE", "").as<Transfer>()->flags,
              std::uint64_t{MSG_MORE})
        << word;
    const auto message =
        meaning_of("sendmsg", "4, {msg_iov=[{iov_base=\"" + word + "\", iov_len=5}], msg_controllen=0}, 0", "");
    EXPECT_EQ(message.as<Transfer>()->flags, 0U) << word;
    EXPECT_FALSE(message.carries_descriptors()) << word;
    const auto messages =
        meaning_of("recvmmsg", "4, ..., 2, 0, NULL", "[{msg_hdr={msg_iov=[{iov_base=\"" + word + "\"}]}, msg_len=3}]");
    EXPECT_EQ(messages.as<Transfer>()->message_bytes, 3U) << word;
  }
}

TEST(Meaning, of_splice_depends_on_which_of_its_descriptors_is_meant) {
  const auto effect = [](std::optional<std::int32_t> fd) {
    return meaning_of("splice", "3, NULL, 5, NULL, 100, 0", "", fd).effect;
  };
  EXPECT_EQ(effect(3), Effect::receives);
  EXPECT_EQ(effect(5), Effect::sends);
  EXPECT_EQ(effect({}), Effect::sends);
  EXPECT_EQ(meaning_of("sendfile", "3, 5, NULL, 100", "", 3).effect, Effect::sends);
}

// dup2(2)
TEST(Meaning, of_dup2_over_a_socket_is_a_close_and_over_itself_nothing) {
  EXPECT_EQ(meaning_of("dup2", "3, 4", "", 3).effect, Effect::duplicates);
  EXPECT_EQ(meaning_of("dup2", "3, 4", "").effect, Effect::duplicates);
  EXPECT_EQ(meaning_of("dup2", "3, 4", "", 4).effect, Effect::closes);
  EXPECT_EQ(meaning_of("dup3", "3, 4, O_CLOEXEC", "", 4).effect, Effect::closes);
  EXPECT_EQ(meaning_of("dup2", "3, 3", "", 3).effect, Effect::none);
  EXPECT_EQ(meaning_of("dup", "3", "", 3).effect, Effect::duplicates);
}

// A tracer that takes few pieces of memory along knows the first messages' lengths only.
TEST(Meaning, of_messages_of_which_some_lengths_are_missing_has_no_sum) {
  const auto taken = meaning_of("recvmmsg", "4, ..., 2, 0, NULL", "[{msg_hdr={}, msg_len=3}, {msg_hdr=0x7f00}]");
  EXPECT_FALSE(taken.as<Transfer>()->message_bytes);
  EXPECT_FALSE(taken.as<Transfer>()->last_message_bytes);
  const auto many = meaning_of("recvmmsg", "4, ..., 40, 0, NULL", "[{msg_hdr={}, msg_len=3}, ...]");
  EXPECT_FALSE(many.as<Transfer>()->message_bytes);
  const auto sent = meaning_of("sendmmsg", "4, ..., 2, 0", "[{msg_hdr={}, msg_len=3}, {msg_hdr={}}]");
  EXPECT_EQ(sent.as<Transfer>()->message_bytes, 3U) << "the second was not sent";
}

TEST(Meaning, of_messages_says_whether_descriptors_go_along_and_how_many_bytes) {
  EXPECT_TRUE(
      meaning_of("sendmsg",
                 "4, {msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[5]}]}, 0", "")
          .carries_descriptors());
  EXPECT_TRUE(meaning_of("recvmsg", "4, ..., 0", "{msg_control=[{cmsg_len=20, cmsg_type=SCM_RIGHTS, cmsg_data=[5]}]}")
                  .carries_descriptors());
  EXPECT_EQ(meaning_of("recvmmsg", "4, ..., 2, 0, NULL", "[{msg_hdr={}, msg_len=3}, {msg_hdr={}, msg_len=40}]")
                .as<Transfer>()
                ->message_bytes,
            43U);
}

TEST(Meaning, of_an_option_is_which_and_its_value) {
  const auto quickack = meaning_of("setsockopt", "4, SOL_TCP, TCP_QUICKACK, [1], 4", "");
  EXPECT_TRUE(quickack.is_option(IPPROTO_TCP, TCP_QUICKACK));
  EXPECT_EQ(quickack.as<Option>()->value, 1);
  EXPECT_EQ(meaning_of("setsockopt", "4, SOL_TCP, TCP_LINGER2, [-1], 4", "").as<Option>()->value, -1);
  for (const char* option : {"TCP_RTO_MAX_MS", "0x2c /* TCP_??? */"}) {  // strace's of today, and 6.1's
    const auto longest = meaning_of("setsockopt", std::string("4, SOL_TCP, ") + option + ", [5000], 4", "");
    EXPECT_TRUE(longest.is_option(IPPROTO_TCP, 44)) << option;
    EXPECT_EQ(longest.as<Option>()->value, 5000) << option;
  }
  const auto linger = meaning_of("setsockopt", "4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=30}, 8", "");
  EXPECT_TRUE(linger.is_option(SOL_SOCKET, SO_LINGER));
  EXPECT_EQ(linger.as<Option>()->value, 1);
  EXPECT_EQ(linger.as<Option>()->linger_seconds, 30);
  const auto error = meaning_of("getsockopt", "4, SOL_SOCKET, SO_ERROR", "[ECONNRESET], [4]");
  EXPECT_TRUE(error.is_option(SOL_SOCKET, SO_ERROR));
  EXPECT_EQ(error.as<Option>()->value, ECONNRESET);
  EXPECT_EQ(meaning_of("getsockopt", "4, SOL_SOCKET, SO_ERROR", "[0], [4]").as<Option>()->value, 0);
  const auto congestion = meaning_of("setsockopt", "4, SOL_TCP, TCP_CONGESTION, \"TCP_QUICKACK, [1]\", 4", "");
  EXPECT_TRUE(congestion.is_option(IPPROTO_TCP, TCP_CONGESTION));
  EXPECT_FALSE(congestion.as<Option>()->value.has_value());
}

TEST(Meaning, of_the_rest) {
  EXPECT_TRUE(meaning_of("shutdown", "4, SHUT_RDWR", "").as<Shutdown>()->sending());
  EXPECT_FALSE(meaning_of("shutdown", "4, SHUT_RD", "").as<Shutdown>()->sending());
  EXPECT_TRUE(meaning_of("shutdown", "4, SHUT_RD", "").as<Shutdown>()->receiving());
  EXPECT_EQ(meaning_of("connect", "3, {sa_family=AF_UNSPEC, sa_data=\"\"}, 16", "").as<Address>()->family,
            std::uint64_t{AF_UNSPEC});
  const auto port = [](std::string_view name, std::string_view address) {
    return meaning_of(name, "3, " + std::string(address) + ", 16", "").as<Address>()->port;
  };
  EXPECT_EQ(port("bind", R"({sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")})"), 80);
  EXPECT_EQ(port("connect", R"({sa_family=AF_INET6, sin6_port=htons(0), inet_pton(AF_INET6, "::1", &sin6_addr)})"), 0);
  EXPECT_FALSE(port("bind", R"({sa_family=AF_INET, sin_port=htons(70000)})").has_value());
  EXPECT_FALSE(port("bind", "{sa_family=AF_UNIX, sun_path=\"sin_port=htons(80)\"}").has_value());
  EXPECT_EQ(meaning_of("socket", "AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_MPTCP", "").as<NewSocket>()->protocol,
            262U);
  EXPECT_EQ(meaning_of("listen", "3, 128", "").as<Listening>()->backlog, 128);
  EXPECT_EQ(meaning_of("listen", "3, -1", "").as<Listening>()->backlog, -1);
  EXPECT_EQ(meaning_of("listen", "3", "").as<Listening>(), nullptr);
  EXPECT_EQ(meaning_of("fcntl", "4, F_DUPFD_CLOEXEC, 10", "").effect, Effect::duplicates);
  EXPECT_EQ(meaning_of("fcntl", "4, F_SETFL, O_RDWR", "").effect, Effect::controls);
  EXPECT_TRUE(meaning_of("dup2", "3, 4", "").closes_another());
  EXPECT_EQ(meaning_of("clone", "child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD", "").effect,
            Effect::forks);
  EXPECT_EQ(meaning_of("clone", "child_stack=0x7f, flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD", "").effect,
            Effect::none);
  EXPECT_EQ(meaning_of("clone3", "{flags=CLONE_VM|CLONE_FILES|CLONE_THREAD, exit_signal=0, stack=0x7f}, 88", "").effect,
            Effect::none);
  EXPECT_EQ(meaning_of("fork", "", "").effect, Effect::forks);
  EXPECT_EQ(meaning_of("unshare", "CLONE_FS|CLONE_FILES", "").effect, Effect::unshares);
  EXPECT_EQ(meaning_of("unshare", "CLONE_NEWNET", "").effect, Effect::none);
  EXPECT_EQ(meaning_of("unshare", "0", "").effect, Effect::none);
}

TEST(Meaning, of_signal_calls) {
  using Fate = SignalAction::Fate;
  const auto ignored =
      meaning_of("rt_sigaction", "SIGPIPE, {sa_handler=SIG_IGN, sa_mask=[PIPE], sa_flags=SA_RESTART}, NULL, 8", "");
  EXPECT_EQ(ignored.as<SignalAction>()->signal, SIGPIPE);
  EXPECT_EQ(ignored.as<SignalAction>()->fate, Fate::ignored);
  EXPECT_EQ(meaning_of("rt_sigaction", "SIGPIPE, NULL, {sa_handler=SIG_IGN}, 8", "").as<SignalAction>()->fate,
            Fate::unchanged);
  EXPECT_EQ(meaning_of("rt_sigaction", "SIGPIPE, {sa_handler=0x55, sa_mask=[]}, NULL, 8", "").as<SignalAction>()->fate,
            Fate::handled);
  const auto blocked = meaning_of("rt_sigprocmask", "SIG_BLOCK, [PIPE USR1], NULL, 8", "");
  EXPECT_EQ(blocked.as<SignalMask>()->change, SignalMask::Change::block);
  EXPECT_TRUE(blocked.as<SignalMask>()->names(SIGPIPE));
  EXPECT_FALSE(blocked.as<SignalMask>()->names(SIGUSR2));
  EXPECT_TRUE(meaning_of("rt_sigprocmask", "SIG_SETMASK, ~[USR1], [PIPE], 8", "").as<SignalMask>()->names(SIGPIPE));
  EXPECT_EQ(meaning_of("rt_sigprocmask", "SIG_BLOCK, NULL, [PIPE], 8", "").as<SignalMask>()->change,
            SignalMask::Change::none);
}

// As decode.h spells what the laboratory's agents are asked for.
TEST(Meaning, of_the_laboratory_s_calls) {
  using Fate = SignalAction::Fate;
  const auto fate = [](std::string_view handler) {
    const std::string action = "SIGPIPE, {sa_handler=" + std::string(handler) + ", sa_mask=[], sa_flags=0}, NULL, 8";
    return meaning_of("rt_sigaction", action, "").as<SignalAction>()->fate;
  };
  EXPECT_EQ(fate("SIG_IGN"), Fate::ignored);
  EXPECT_EQ(fate("SIG_DFL"), Fate::by_default);
  EXPECT_EQ(fate("0x55d0c8a7b2f9"), Fate::handled);
  EXPECT_EQ(meaning_of("rt_sigprocmask", "SIG_UNBLOCK, [PIPE], NULL, 8", "").as<SignalMask>()->change,
            SignalMask::Change::unblock);
  EXPECT_EQ(meaning_of("connect", R"(4, {sa_family=AF_UNSPEC, sa_data="\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}, 16)", "")
                .as<Address>()
                ->family,
            std::uint64_t{AF_UNSPEC});
  const auto key = meaning_of(
      "setsockopt",
      R"(4, SOL_TCP, TCP_MD5SIG, {tcpm_addr={sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, )"
      R"(tcpm_key="[1]"}, 216)",
      "");
  EXPECT_TRUE(key.is_option(IPPROTO_TCP, TCP_MD5SIG));
  EXPECT_FALSE(key.as<Option>()->value.has_value());
  const auto passed = [](std::string_view name, std::string_view asked, std::string_view back) {
    return meaning_of(name, asked, back).carries_descriptors();
  };
  constexpr std::string_view message =
      R"({msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="f", iov_len=1}], msg_iovlen=1, msg_control=[{cmsg_len=20, )"
      R"(cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[5]}], msg_controllen=24, msg_flags=0})";
  EXPECT_TRUE(passed("sendmsg", "4, " + std::string(message) + ", MSG_NOSIGNAL", ""));
  EXPECT_TRUE(passed("recvmsg", "4, ..., 0", message));
  const auto plain = meaning_of(
      "sendmsg",
      R"(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="f", iov_len=1}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, MSG_MORE)",
      "");
  EXPECT_FALSE(plain.carries_descriptors());
  EXPECT_TRUE(plain.has(MSG_MORE));
  EXPECT_EQ(meaning_of("sendfile", "4, 201, NULL, 100", "").effect, Effect::sends);
  EXPECT_EQ(meaning_of("splice", "201, NULL, 4, NULL, 100, 0", "").effect, Effect::sends);
  EXPECT_EQ(meaning_of("execve", R"("sleep", ["sleep", "1"], 0x7ffd8 /* 23 vars */)", "").effect, Effect::executes);
  // What follows has no effect on a connection, however it is spelled.
  for (const auto& [name, asked, back] :
       {std::tuple{"kill", "1234, SIGPIPE", ""},
        {"setitimer", "ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=1, tv_usec=0}}, NULL", ""},
        {"rt_sigtimedwait", "[PIPE], ..., {tv_sec=0, tv_nsec=0}, 8", "{si_signo=SIGPIPE, si_code=SI_USER, ...}"},
        {"prlimit64", "0, RLIMIT_NOFILE, {rlim_cur=20, rlim_max=20000}, NULL", ""},
        {"socketpair", "AF_UNIX, SOCK_STREAM, 0, ...", "[3, 4]"}}) {
    const auto meaning = meaning_of(name, asked, back);
    ASSERT_NE(meaning.row, nullptr) << name;
    EXPECT_EQ(meaning.effect, Effect::none) << name;
    EXPECT_TRUE(std::holds_alternative<std::monostate>(meaning.value)) << name;
  }
}

TEST(Meaning, of_anything_is_a_value_and_no_crash) {
  for (const char* text :
       {"", ",", ",,,,", "\"", "\\", "[", "{", "}}}", "4, \"", "4, {", "4, SOL_SOCKET", "~[", "[", "(((((", "4, \"\\"})
    for (const CallRow& row : call_table()) (void)meaning_of(row.name, text, text);
}

}  // namespace
}  // namespace tcpwhy::calls
