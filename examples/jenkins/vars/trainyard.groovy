// Step `trainyard` of a shared library: trains, evaluates and judges a model, publishes the reports, and in the build of
// a tag pushes the image.
//
// config         the configuration file; by default `trainyard.toml`
// out            the output folder of all stages; by default `trainyard-out`
// push           where the image of a tag goes, as `registry.example.org/team/digits`; without it none is published
// credentialsId  a login of that registry that may push, a user name with a password
def call(Map options = [:]) {
    def unknown = options.keySet() - ['config', 'out', 'push', 'credentialsId']
    if (unknown) {
        error "trainyard: there is no option ${unknown.join(', ')}; it takes config, out, push and credentialsId"
    }
    if (options.push && !options.credentialsId) {
        error 'trainyard: name the login of the registry, `credentialsId: \'registry\'`, beside `push`'
    }
    def config = options.config ?: 'trainyard.toml'
    def out = options.out ?: 'trainyard-out'
    // By variables, so that no shell reads a name as a command.
    withEnv(["MODEL_CONFIG=${config}", "MODEL_OUT=${out}", "MODEL_IMAGE=${options.push ?: ''}"]) {
        try {
            sh 'trainyard-train --config "$MODEL_CONFIG" --out "$MODEL_OUT"'
            sh 'trainyard-evaluate --config "$MODEL_CONFIG" --out "$MODEL_OUT"'
            sh 'trainyard-gate --config "$MODEL_CONFIG" --out "$MODEL_OUT"'
        } finally {
            junit testResults: "${out}/verdict/junit.xml", allowEmptyResults: true
            recordIssues tools: [sarif(pattern: "${out}/verdict/results.sarif")], enabledForFailure: true
            archiveArtifacts artifacts: "${out}/**", excludes: "${out}/image/blobs/**", allowEmptyArchive: true
        }
        if (env.TAG_NAME && options.push) {
            withCredentials([usernamePassword(
                credentialsId: options.credentialsId,
                usernameVariable: 'TRAINYARD_REGISTRY_USERNAME',
                passwordVariable: 'TRAINYARD_REGISTRY_PASSWORD'
            )]) {
                sh 'trainyard-publish-image --config "$MODEL_CONFIG" --out "$MODEL_OUT" --push "$MODEL_IMAGE"'
            }
        }
    }
}
