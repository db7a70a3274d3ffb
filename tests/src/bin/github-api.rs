//! The stand-in for GitHub's API on a free port, whose address is the first line of output.

#![expect(clippy::print_stdout, reason = "the address is what it is asked for")]

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    trainyard_tests::github::serve(listener).await
}
