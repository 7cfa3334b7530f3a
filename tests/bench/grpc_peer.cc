// grpc_peer: what gRPC's own C++ library does with psd's traffic between two processes on loopback,
// with certificates on both sides: 1 MiB float chunks streamed up with a step of SGD on each at the
// server, the parameters streamed down in chunks of 1 MiB, and unary calls of 1 KiB with a short
// answer. It is given what helps it: one long stream a segment, one message used again and again,
// no limits.
//
//     grpc_peer CA.pem SERVER.pem SERVER.key CLIENT.pem CLIENT.key [--bytes N] [--json]
//
// Four segments of N bytes (default 512 MiB) each way, of which the best counts, as for tls_limit
// and bench_psd; 2000 unary calls. GB are 1e9 bytes. The only C++ of this tree, because it is the
// peer.
#include "grpc_peer.grpc.pb.h"

#include <grpcpp/grpcpp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace
{

constexpr size_t kChunk = 1 << 20;
constexpr size_t kParameters = 64; // MiB that psd's job has in the bench, too
constexpr int kSegments = 4;
constexpr int kCalls = 2000;

std::string ReadFile(const char *path)
{
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

double Seconds()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

class Service final : public peer::Peer::Service
{
    std::vector<float> weights_ = std::vector<float>(kParameters * kChunk / sizeof(float), 0.5f);

    grpc::Status Push(grpc::ServerContext *, grpc::ServerReader<peer::Chunk> *in,
                      peer::Count *reply) override
    {
        peer::Chunk chunk;
        while (in->Read(&chunk)) {
            const size_t n = chunk.payload().size() / sizeof(float);
            if (chunk.offset() + n > weights_.size())
                return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "out of range");
            const float *g = reinterpret_cast<const float *>(chunk.payload().data());
            float *w = weights_.data() + chunk.offset();
            for (size_t i = 0; i < n; i++)
                w[i] -= 0.01f * g[i];
            reply->set_chunks(reply->chunks() + 1);
        }
        return grpc::Status::OK;
    }

    grpc::Status Pull(grpc::ServerContext *, const peer::Count *want,
                      grpc::ServerWriter<peer::Chunk> *out) override
    {
        peer::Chunk chunk;
        for (uint64_t i = 0; i < want->chunks(); i++) {
            chunk.set_offset(i % kParameters * (kChunk / sizeof(float)));
            chunk.set_payload(weights_.data() + chunk.offset(), kChunk);
            if (!out->Write(chunk))
                break;
        }
        return grpc::Status::OK;
    }

    grpc::Status One(grpc::ServerContext *, const peer::Chunk *, peer::Count *reply) override
    {
        reply->set_chunks(1);
        return grpc::Status::OK;
    }
};

// The server process; its port goes to the pipe.
[[noreturn]] void Serve(char **files, int pipe)
{
    grpc::SslServerCredentialsOptions tls(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = ReadFile(files[0]);
    tls.pem_key_cert_pairs.push_back({ReadFile(files[2]), ReadFile(files[1])});
    Service service;
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
    builder.RegisterService(&service);
    builder.SetMaxReceiveMessageSize(-1);
    auto server = builder.BuildAndStart();
    if (!server || write(pipe, &port, sizeof port) != sizeof port)
        _exit(1);
    server->Wait();
    _exit(0);
}

bool Check(const grpc::Status &status, const char *what)
{
    if (!status.ok())
        (void)fprintf(stderr, "grpc_peer: %s: %s\n", what, status.error_message().c_str());
    return status.ok();
}

bool Push(peer::Peer::Stub *stub, size_t chunks)
{
    grpc::ClientContext context;
    peer::Chunk chunk;
    peer::Count reply;
    chunk.set_payload(std::string(kChunk, '\1'));
    auto out = stub->Push(&context, &reply);
    for (size_t i = 0; i < chunks; i++) {
        chunk.set_offset(i % kParameters * (kChunk / sizeof(float)));
        if (!out->Write(chunk))
            break;
    }
    out->WritesDone();
    return Check(out->Finish(), "push") && reply.chunks() == chunks;
}

bool Pull(peer::Peer::Stub *stub, size_t chunks)
{
    grpc::ClientContext context;
    peer::Chunk chunk;
    peer::Count want;
    want.set_chunks(chunks);
    auto in = stub->Pull(&context, want);
    size_t got = 0;
    while (in->Read(&chunk))
        got++;
    return Check(in->Finish(), "pull") && got == chunks;
}

double Best(bool (*run)(peer::Peer::Stub *, size_t), peer::Peer::Stub *stub, size_t chunks)
{
    double best = 0;
    for (int i = 0; i < kSegments; i++) {
        const double begun = Seconds();
        if (!run(stub, chunks))
            return 0;
        best = std::max(best, static_cast<double>(chunks * kChunk) / (Seconds() - begun) / 1e9);
    }
    return best;
}

std::vector<double> Unary(peer::Peer::Stub *stub)
{
    std::vector<double> us;
    peer::Chunk chunk;
    peer::Count reply;
    chunk.set_payload(std::string(1024, '\1'));
    for (int i = 0; i < kCalls; i++) {
        grpc::ClientContext context;
        const double begun = Seconds();
        if (!Check(stub->One(&context, chunk, &reply), "unary"))
            return {};
        us.push_back((Seconds() - begun) * 1e6);
    }
    std::sort(us.begin(), us.end());
    return us;
}

int Measure(char **files, int port, size_t bytes, bool json)
{
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ReadFile(files[0]);
    tls.pem_cert_chain = ReadFile(files[3]);
    tls.pem_private_key = ReadFile(files[4]);
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("localhost");
    arguments.SetMaxReceiveMessageSize(-1);
    auto stub = peer::Peer::NewStub(grpc::CreateCustomChannel(
        "ipv4:127.0.0.1:" + std::to_string(port), grpc::SslCredentials(tls), arguments));
    const size_t chunks = std::max<size_t>(bytes / kChunk, 1);
    const double push = Best(Push, stub.get(), chunks);
    const double pull = push > 0 ? Best(Pull, stub.get(), chunks) : 0;
    const std::vector<double> us = pull > 0 ? Unary(stub.get()) : std::vector<double>();
    if (us.empty())
        return 1;
    printf(
        json ? "{\"bench\": \"grpc_peer\", \"version\": \"%s\", \"push_gbps\": %.4f, "
               "\"pull_gbps\": %.4f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n"
             : "gRPC C++ %s: push %.3f GB/s, pull %.3f GB/s, unary 1 KiB p50 %.0f us p99 %.0f us\n",
        grpc::Version().c_str(), push, pull, us[us.size() / 2], us[us.size() * 99 / 100]);
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    size_t bytes = 512u << 20;
    bool json = false;
    for (int i = 6; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--bytes") == 0 && i + 1 < argc)
            bytes = static_cast<size_t>(atof(argv[++i]));
        else
            argc = 0;
    }
    if (argc < 6) {
        (void)fprintf(stderr, "usage: grpc_peer CA SERVER.pem SERVER.key CLIENT.pem CLIENT.key "
                              "[--bytes N] [--json]\n");
        return 2;
    }
    int ends[2], port = 0;
    if (pipe(ends) != 0)
        return 1;
    const pid_t server = fork(); // before gRPC has started a thread
    if (server == 0)
        Serve(argv + 1, ends[1]);
    close(ends[1]);
    int status = 1;
    if (server > 0 && read(ends[0], &port, sizeof port) == sizeof port)
        status = Measure(argv + 1, port, bytes, json);
    if (server > 0) {
        kill(server, SIGTERM);
        waitpid(server, nullptr, 0);
    }
    return status;
}
